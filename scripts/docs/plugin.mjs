// What TypeDoc does not do by itself: guides are called as their first heading says, modules as they are imported, and every
// page leads to the documentation of the core.
import { Converter, JSX } from 'typedoc'

/** What files are imported as. */
const IMPORTED = new Map([
  ['index', 'threadmill'],
  ['function', 'threadmill/function'],
  ['function-worker', 'threadmill/function/worker'],
  ['metrics', 'threadmill/metrics'],
  ['dashboard', 'threadmill/dashboard'],
])
const HEADING = /^# (.+)\n+/

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
    const [first] = document.content
    const heading = HEADING.exec(first?.text ?? '')?.[1]
    if (heading !== undefined) document.name = heading.replaceAll('`', '')
  })
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) module.name = IMPORTED.get(module.name) ?? module.name
  })
  app.renderer.hooks.on('sidebar.begin', (context) => {
    const href = context.relativeURL('rust/threadmill_core/index.html')
    return JSX.createElement('p', null, JSX.createElement('a', { href }, 'The core, in Rust'))
  })
}
