// The calculator's page: fields for the answers, and what sizing.js says follows from them. The
// answers that somebody gave stand in the address as well, so that it can be kept and sent.

import { RULES } from './rules.js'
import { command, isAsked, plan, refusals, withDefaults } from './sizing.js'

const GROUPS = {
  Service: ['service_name', 'archetype', 'database'],
  Capacity: ['cpu_limit', 'memory_limit_mib', 'memory_per_worker_mib', 'workload'],
  'Replicas and connections': ['replicas_min', 'replicas_max', 'database_max_connections'],
  Time: ['drain_seconds', 'request_timeout_seconds', 'keepalive_seconds'],
  More: ['events', 'auth', 'deploy', 'python_version', 'base_image', 'ci', 'tracing']
}

/** Where a slider stops; any other number goes into the field beside it. */
const STOPS = {
  cpu_limit: [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64],
  memory_limit_mib: [256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768, 65536],
  memory_per_worker_mib: [64, 100, 125, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000],
  replicas_min: [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50],
  replicas_max: [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50, 100],
  database_max_connections: [25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000],
  drain_seconds: [3, 5, 8, 10, 12, 15, 20, 25, 30, 45, 60, 90, 120],
  request_timeout_seconds: [1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300],
  keepalive_seconds: [1, 2, 5, 10, 15, 30, 60, 65, 75, 120, 300, 600]
}

/** What the other pages call it too; a browser can't know where the repository is kept. */
const TEMPLATE = '<this repository>'

const given = fromAddress()

/** An element with attributes and what is in it. */
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes))
    if (value === true) element.setAttribute(name, '')
    else if (value !== false) element.setAttribute(name, value)
  element.append(...content)
  return element
}

function byId(id) {
  return document.getElementById(id)
}

// ---- The answers ----

function answerFields() {
  const form = make('form', { class: 'calculator-answers', autocomplete: 'off' })
  for (const [title, names] of Object.entries(GROUPS)) {
    const legend = make(title === 'More' ? 'summary' : 'legend', {}, title)
    const group = make(title === 'More' ? 'details' : 'fieldset', {}, legend, ...names.map(answerField))
    form.append(group)
  }
  form.addEventListener('submit', event => event.preventDefault())
  form.addEventListener('input', ({ target }) => {
    const name = target.dataset.answer
    answer(name, valueOf(target, name))
    show()
  })
  return form
}

function answerField(name) {
  const { help } = RULES.questions[name]
  const refusal = make('p', { id: `calculator-${name}-refusal`, class: 'calculator-refusal', role: 'alert' })
  const label = make('label', { for: `answer-${name}` }, make('code', {}, name))
  const about = make('small', { id: `answer-${name}-help` }, help)
  return make('div', { class: 'calculator-answer', id: `row-${name}` }, label, about, control(name), refusal)
}

function control(name) {
  const { choices, several } = RULES.questions[name]
  const own = { id: `answer-${name}`, 'data-answer': name, 'aria-describedby': `answer-${name}-help` }
  if (several) return boxes(name, choices)
  if (name === 'tracing') return make('input', { ...own, type: 'checkbox' })
  if (choices) {
    const options = Object.entries(choices).map(([value, text]) => make('option', { value }, text))
    return make('select', own, ...options)
  }
  if (!(name in STOPS)) return make('input', { ...own, type: 'text', spellcheck: 'false' })
  const slider = { type: 'range', 'data-answer': name, min: 0, max: STOPS[name].length - 1, step: 1 }
  return make(
    'div',
    { class: 'calculator-number' },
    make('input', { ...slider, id: `slider-${name}`, 'aria-label': `${name}, by steps` }),
    make('input', { ...own, type: 'text', inputmode: 'decimal', size: 7 })
  )
}

function boxes(name, choices) {
  const all = Object.entries(choices).map(([value, text]) =>
    make('label', {}, make('input', { type: 'checkbox', value, 'data-answer': name }), ` ${text}`)
  )
  return make('div', { class: 'calculator-boxes', id: `answer-${name}`, role: 'group' }, ...all)
}

function valueOf(field, name) {
  if (field.type === 'range') return String(STOPS[name][field.value])
  if (name === 'tracing') return field.checked
  if (field.type !== 'checkbox') return field.value.trim()
  return [...byId(`answer-${name}`).querySelectorAll('input:checked')].map(box => box.value)
}

/** Take an answer, and take back those that can't stand beside it. */
function answer(name, value) {
  given[name] = value
  if (given.database === 'none' && (given.archetype ?? 'payments') === 'payments') delete given.database
  const { database, python_version: python } = withDefaults(given)
  if (database === 'sqlite') for (const each of ['replicas_min', 'replicas_max', 'deploy']) delete given[each]
  if (python !== '3.13') delete given.base_image
}

function showAnswers(answers, refused) {
  for (const name of Object.keys(RULES.questions)) {
    const field = byId(`answer-${name}`)
    byId(`row-${name}`).hidden = !isAsked(name, answers)
    byId(`calculator-${name}-refusal`).textContent = refused[name] ?? ''
    if (name in STOPS) byId(`slider-${name}`).value = nearest(STOPS[name], Number(answers[name]))
    if (name === 'deploy') for (const box of field.querySelectorAll('input')) box.checked = answers.deploy.includes(box.value)
    else if (name === 'tracing') field.checked = answers.tracing
    else if (field !== document.activeElement || field.tagName === 'SELECT') field.value = answers[name]
    field.setAttribute('aria-invalid', String(name in refused))
  }
  disable('database', 'none', answers.archetype === 'payments')
  disable('base_image', 'distroless', answers.python_version !== '3.13')
  for (const name of ['replicas_min', 'replicas_max'])
    for (const field of byId(`row-${name}`).querySelectorAll('input')) field.disabled = answers.database === 'sqlite'
  byId('answer-deploy').querySelector('[value=kubernetes]').disabled = answers.database === 'sqlite'
}

function disable(name, value, disabled) {
  byId(`answer-${name}`).querySelector(`option[value=${value}]`).disabled = disabled
}

function nearest(stops, number) {
  const distances = stops.map(stop => Math.abs(Math.log((number || stops[0]) / stop)))
  return distances.indexOf(Math.min(...distances))
}

// ---- What follows ----

function outcomes() {
  const said = id => make('output', { id: `calculator-${id}` })
  const line = id => make('p', { id: `calculator-${id}` })
  return make(
    'div',
    { class: 'calculator-outcome', 'aria-live': 'polite' },
    make('section', { id: 'calculator-computed' },
      make('h2', {}, said('workers'), ' ', make('span', { id: 'calculator-workers-word' })),
      line('workers-why'),
      make('h2', {}, said('termination-grace'), ' s to stop'),
      make('div', { class: 'calculator-bar', id: 'calculator-bar', 'aria-hidden': 'true' }),
      line('stop-why'),
      make('div', { id: 'calculator-connections' },
        make('h2', {}, said('pool'), ' ', make('span', { id: 'calculator-pool-word' })),
        line('pool-why')),
      line('platform')),
    make('h2', {}, 'The command'),
    make('pre', {}, make('code', { id: 'calculator-command', tabindex: 0 })),
    make('p', { id: 'calculator-template' },
      'In place of ', make('code', {}, TEMPLATE), ' put the address of this repository, or the folder of your clone of it.')
  )
}

function tell(id, text) {
  byId(`calculator-${id}`).textContent = text
}

function show() {
  const answers = withDefaults(given)
  const refused = refusals(answers)
  const sentences = Object.entries(refused).map(([name, sentence]) => `${name}: ${sentence}`)
  // Workers and the stop can be told while only these are wrong.
  const computable = Object.keys(refused).every(name => ['database_max_connections', 'service_name'].includes(name))
  showAnswers(answers, refused)
  byId('calculator-computed').classList.toggle('calculator-stale', !computable)
  byId('calculator-connections').classList.toggle('calculator-refusal', 'database_max_connections' in refused)
  byId('calculator-template').hidden = sentences.length > 0
  tell('command', sentences.join('\n') || command(given, TEMPLATE, answers.service_name))
  if (computable) showPlan(answers, plan(answers))
  toAddress()
}

function showPlan(answers, found) {
  const { cpu, workers, reserve } = found
  const memory = Number(answers.memory_limit_mib)
  const byCpu = answers.workload === 'io' ? `floor(2 x ${cpu} + 1)` : `ceil(${cpu})`
  const byMemory = `(${memory} - ${reserve}) // ${answers.memory_per_worker_mib}`
  const settled = { cpu: 'the CPU settles it', memory: 'the memory settles it', minimum: 'there is always one' }
  tell('workers', workers)
  tell('workers-word', `worker${workers === 1 ? '' : 's'} in a replica`)
  tell('workers-why', `By CPU ${byCpu} = ${found.cpuBound}, by memory ${byMemory} = ${found.memoryBound}: ${settled[found.bound]}.`)

  tell('termination-grace', found.terminationGrace)
  showBar(found)
  tell('stop-why',
    `${found.drain} draining + ${found.linger} lingering + ${found.request} for the last request + ${found.close} closing ` +
    `= ${found.graceful} s, then Gunicorn kills a worker (graceful timeout). After ${found.terminationGrace} s the platform kills the ` +
    `replica (termination grace). It asks every ${found.readinessPeriod} s whether one is ready, and leaves it out after three times no.`)

  byId('calculator-connections').hidden = answers.database === 'none'
  tell('pool', found.pool)
  tell('pool-word', `connection${found.pool === 1 ? '' : 's'} for a worker`)
  tell('pool-why', answers.database === 'sqlite'
    ? 'To the file of the one replica; one of them writes at a time.'
    : `(${answers.database_max_connections} - ${RULES.constants.reservedConnections}) // (${workers} x (2 x ${answers.replicas_max} + 1)) = ` +
      `${found.pool}. ${found.connections} at most, in the middle of a rollout, of the ${answers.database_max_connections} that the database takes.`)

  const kubernetes = answers.deploy.includes('kubernetes')
    ? ` Its pod asks for ${found.cpuRequest} and ${found.memoryRequest}Mi, and may use ${found.cpuQuantity} and ${memory}Mi.` : ''
  tell('platform', `A proxy in front keeps idle connections for ${found.proxyKeepaliveMs / 1000} s, shorter than the service does.${kubernetes}`)
}

function showBar(found) {
  const spare = found.terminationGrace - found.graceful
  const parts = { drain: found.drain, linger: found.linger, request: found.request, close: found.close, spare }
  byId('calculator-bar').replaceChildren(
    ...Object.entries(parts).map(([name, seconds]) =>
      make('span', { class: `calculator-${name}`, style: `flex-grow: ${seconds}`, title: `${name} ${seconds} s` },
        seconds / found.terminationGrace > 0.1 ? `${name} ${seconds}` : ''))
  )
}

// ---- The address ----

function fromAddress() {
  const kept = {}
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    const question = RULES.questions[name]
    if (!question) continue
    if (question.several) kept[name] = value.split(',').filter(each => each in question.choices)
    else if (name === 'tracing') kept[name] = value === 'true'
    else if (!question.choices || value in question.choices) kept[name] = value
  }
  return kept
}

function toAddress() {
  const said = new URLSearchParams(Object.entries(given).map(([name, value]) => [name, String(value)]))
  history.replaceState(history.state, '', said.size ? `#${said}` : location.pathname)
}

byId('calculator-here').replaceChildren(answerFields(), outcomes())
show()
