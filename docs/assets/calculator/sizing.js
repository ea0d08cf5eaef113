// What follows from the answers: the arithmetic of chassis/capacity and chassis/database/pool_size,
// the refusals of the questions, and the command line. tests/site/test_calculator.py compares all
// three with the template over a grid of answers. Nothing here touches the page.

import { RULES } from './rules.js'

const { constants, questions } = RULES

/** The answers that nobody gave, for those that somebody did. */
export function withDefaults(given) {
  const archetype = given.archetype ?? 'payments'
  const database = given.database ?? RULES.defaults.database[archetype]
  const answers = { archetype, database, ...RULES.defaults[`${archetype} ${database}`], ...given }
  if (!('replicas_max' in given) && database !== 'sqlite')
    answers.replicas_max = String(Math.min(2 * Number(answers.replicas_min), 1000))
  if (!('base_image' in given) && answers.python_version !== '3.13') answers.base_image = 'slim'
  return answers
}

/** The CPUs of `2`, `0.5` or `500m`. */
export function cores(text) {
  return text.endsWith('m') ? Number(text.slice(0, -1)) / 1000 : Number(text)
}

/** Workers, durations and connections; the answers have to be complete and allowed. */
export function plan(answers) {
  return { ...workers(answers), ...durations(answers), ...connections(answers), ...kubernetes(answers) }
}

function workers(answers) {
  const cpu = cores(answers.cpu_limit)
  const memory = Number(answers.memory_limit_mib)
  const reserve = reserved(memory)
  const cpuBound = answers.workload === 'io' ? Math.floor(2 * cpu + 1) : Math.ceil(cpu)
  const memoryBound = Math.floor((memory - reserve) / Number(answers.memory_per_worker_mib))
  const fitting = Math.min(cpuBound, memoryBound)
  const bound = fitting < 1 ? 'minimum' : cpuBound <= memoryBound ? 'cpu' : 'memory'
  return { workers: Math.max(1, fitting), bound, cpu, cpuBound, memoryBound, reserve }
}

function reserved(memory) {
  return Math.floor(memory / constants.reserveShare)
}

function durations(answers) {
  const drain = Number(answers.drain_seconds)
  const request = Number(answers.request_timeout_seconds)
  const keepalive = Number(answers.keepalive_seconds)
  const { linger, close, graceMargin, graceHeadroom, probeTimeout } = constants
  const graceful = drain + linger + request + close
  return {
    drain,
    linger,
    request,
    close,
    graceful,
    terminationGrace: graceful + graceMargin + graceHeadroom,
    readinessPeriod: Math.max(1, Math.min(3, Math.floor(drain / 3))),
    probeTimeout,
    proxyKeepaliveMs: Math.min(keepalive, drain) * 800
  }
}

function connections(answers) {
  if (answers.database === 'none') return { pool: 0, sharers: 0, connections: 0 }
  if (answers.database === 'sqlite')
    return { pool: constants.sqlitePool, sharers: 0, connections: 0 }
  const sharers = sharersOf(answers)
  const left = Number(answers.database_max_connections) - constants.reservedConnections
  const pool = Math.floor(Math.max(0, left) / sharers)
  return { pool, sharers, connections: pool * sharers }
}

/** How many workers there are at most, in the middle of a rollout. */
function sharersOf(answers) {
  return workers(answers).workers * (2 * Number(answers.replicas_max) + constants.surge)
}

function kubernetes(answers) {
  const millicores = Math.round(cores(answers.cpu_limit) * 1000)
  return {
    cpuRequest: `${Math.min(500, millicores)}m`,
    cpuQuantity: millicores % 1000 ? `${millicores}m` : String(millicores / 1000),
    memoryRequest: Math.min(256, Number(answers.memory_limit_mib))
  }
}

/** What copier would refuse: names of questions, and a sentence for each. */
export function refusals(answers) {
  const found = {}
  for (const [name, refuse] of Object.entries(REFUSALS)) {
    // Those further down compute with the answers above them.
    const sentence = refuse(answers, name, Object.keys(found))
    if (sentence) found[name] = sentence
  }
  return found
}

const REFUSALS = {
  service_name: ({ service_name: name }) =>
    /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/.test(name)
      ? ''
      : `${shown(name)} is not allowed: give a lower-case letter followed by lower-case letters, ` +
        'digits and hyphens (not at the end), 30 characters at most, for example "payment-api".',
  cpu_limit: ({ cpu_limit: text }) => {
    const written = /^[1-9][0-9]{0,5}m$/.test(text) || /^(0|[1-9][0-9]{0,2})(\.[0-9]{1,3})?$/.test(text)
    const millicores = written ? Math.round(cores(text) * 1000) : 0
    return millicores >= 100 && millicores <= 256000
      ? ''
      : `${shown(text)} is not allowed: give a number of cores from 0.1 to 256, ` +
        'or millicores from "100m" to "256000m".'
  },
  memory_per_worker_mib: wholeNumber,
  memory_limit_mib: (answers, name, wrong) => {
    const memory = Number(answers.memory_limit_mib)
    const needed = Number(answers.memory_per_worker_mib)
    const usable = memory - reserved(memory)
    if (wholeNumber(answers, name) || wrong.includes('memory_per_worker_mib') || usable >= needed)
      return wholeNumber(answers, name)
    // The inverse of memory - memory // 4 >= needed, in whole numbers.
    const least = Math.floor((4 * (needed - 1)) / 3) + 1
    return (
      `${shown(answers[name])} is not allowed: less the reserve of a quarter it leaves ${usable} MiB, ` +
      `and one worker needs ${needed} (memory_per_worker_mib): give at least ${least} MiB.`
    )
  },
  replicas_min: (answers, name) => wholeNumber(answers, name) || oneOnSqlite(answers, name),
  replicas_max: (answers, name, wrong) => {
    const refused = wholeNumber(answers, name) || oneOnSqlite(answers, name)
    if (refused || wrong.includes('replicas_min')) return refused
    return Number(answers.replicas_max) >= Number(answers.replicas_min)
      ? ''
      : `${shown(answers[name])} is not allowed: there are ${answers.replicas_min} replicas at least (replicas_min).`
  },
  database_max_connections: (answers, name, wrong) => {
    if (answers.database !== 'postgresql') return ''
    if (wholeNumber(answers, name) || wrong.length) return wholeNumber(answers, name)
    const sharers = sharersOf(answers)
    return Number(answers[name]) - constants.reservedConnections >= sharers
      ? ''
      : `${shown(answers[name])} is not allowed: less the ten for others it has to hold one each for ` +
          `${workers(answers).workers} workers of 2 x ${answers.replicas_max} + 1 replicas (while a rollout ` +
          `runs), which is ${sharers}: give at least ${sharers + constants.reservedConnections}, or a smaller replicas_max.`
  },
  request_timeout_seconds: wholeNumber,
  drain_seconds: wholeNumber,
  keepalive_seconds: wholeNumber,
  deploy: ({ database, deploy }) =>
    database === 'sqlite' && deploy.includes('kubernetes')
      ? '"kubernetes" is not allowed: SQLite is a file, which a rollout\'s old and new pods can\'t share: ' +
        "give database=postgresql, or deploy='[compose]'."
      : ''
}

function wholeNumber(answers, name) {
  const { lowest, highest, unit } = questions[name]
  const text = answers[name]
  return /^(0|[1-9][0-9]{0,8})$/.test(text) && lowest <= Number(text) && Number(text) <= highest
    ? ''
    : `${shown(text)} is not allowed: give a whole number of ${unit} from ${lowest} to ${highest}.`
}

function oneOnSqlite(answers, name) {
  return answers.database !== 'sqlite' || Number(answers[name]) === 1
    ? ''
    : `${shown(answers[name])} is not allowed: SQLite is a file, which replicas can't share: give 1, or database=postgresql.`
}

function shown(text) {
  return JSON.stringify(text.length <= 40 ? text : `${text.slice(0, 37)}...`)
}

/** Whether copier asks it at all, with these answers. */
export function isAsked(name, answers) {
  if (name === 'events') return answers.database !== 'none'
  return name !== 'database_max_connections' || answers.database === 'postgresql'
}

/** The command that makes this service; it names the answers that aren't the defaults alone. */
export function command(given, template, folder) {
  const answers = withDefaults(given)
  const words = ['uvx', 'copier', 'copy']
  for (const name of Object.keys(questions)) {
    const { [name]: _, ...others } = given
    if (name in given && isAsked(name, answers) && said(answers[name]) !== said(withDefaults(others)[name]))
      words.push('-d', `${name}=${said(answers[name])}`)
  }
  return [...words, template, folder].map(quoted).join(' ')
}

function said(answer) {
  if (Array.isArray(answer)) return `[${answer.join(', ')}]`
  return typeof answer === 'boolean' ? (answer ? 'yes' : 'no') : answer
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`
}
