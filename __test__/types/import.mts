// The package as an ECMAScript module sees it.
import type { WorkerPoolOptions } from 'threadmill'
import * as threadmill from 'threadmill'
import { exactly } from './assert.js'

const options: WorkerPoolOptions = { threads: 1 }
exactly<threadmill.WorkerPool<never, never>>()(new threadmill.WorkerPool(options))
// @ts-expect-error there is no such export
threadmill.Pool
