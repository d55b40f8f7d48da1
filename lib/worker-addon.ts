// Stage: run. Thread: a JS worker, before anything else of it.
// The owner says which addon it has: another one would be another process, as far as pools are concerned.

import { workerData } from 'node:worker_threads'
import { setAddonFile } from './addon'
import type { Launch } from './protocol'

setAddonFile((workerData as Launch).threadmillAddon)
