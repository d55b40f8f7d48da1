// Stage: run. Thread: a JS worker, before anything else of it.
// The owner says which addon it has: another one would be another process, as far as pools are concerned.

import { workerData } from 'node:worker_threads'
import { setAddon } from './addon'
import { addonOfWorker } from './packs'
import type { Launch } from './protocol'

const { threadmillAddon: file } = workerData as Launch
if (file !== undefined) setAddon(file, addonOfWorker(file))
