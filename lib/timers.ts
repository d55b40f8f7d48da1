// Stage: all. Thread: any.
// Timers as they were when the package was loaded: who tests with fake ones replaces those of the module, too.

import timers from 'node:timers'

export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers
