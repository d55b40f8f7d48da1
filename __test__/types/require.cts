// The package as a CommonJS module sees it.
import threadmill = require('threadmill')

import { exactly } from './assert.js'

exactly<threadmill.WorkerPool<never, never>>()(new threadmill.WorkerPool({ threads: 1 }))
// @ts-expect-error there is no such export
threadmill.Pool
