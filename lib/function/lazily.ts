// Stage: all. Thread: any env.
// The exports of `threadmill/function` for the package itself, loaded when one of them is first asked for. They are
// declared without a value, so that the compiled file names them: that is how `import` finds names in CommonJS.

type Entry = typeof import('./index')

export let Status: Entry['Status']
export let ThreadStatus: Entry['ThreadStatus']
export let TaskPool: Entry['TaskPool']
export let StatusType: Entry['StatusType']
export let StatusAllField: Entry['StatusAllField']
export let round: Entry['round']
export let FunctionThread: Entry['FunctionThread']
export let FunctionPool: Entry['FunctionPool']
export let exitKey: Entry['exitKey']
export let exitEventSupported: Entry['exitEventSupported']
export let close: Entry['close']
export let asyncEventEmitter: Entry['asyncEventEmitter']
export let startProfilingCpu: Entry['startProfilingCpu']
export let stopProfilingCpu: Entry['stopProfilingCpu']
export let importTaskWorker: Entry['importTaskWorker']
export let importWorker: Entry['importWorker']
export let importPersistentWorker: Entry['importPersistentWorker']
export let importWorkerProxy: Entry['importWorkerProxy']
export let setWorkerFile: Entry['setWorkerFile']
export let getWorkerFile: Entry['getWorkerFile']
export let normalizeFilename: Entry['normalizeFilename']
export let MainThread: Entry['MainThread']

for (const name of Object.keys(exports)) {
  Object.defineProperty(exports, name, {
    enumerable: true,
    get: () => (require('./index') as Record<string, unknown>)[name],
  })
}
