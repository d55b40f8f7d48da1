// What needs no more than ES2020. Checked by tsc, never run.
import { ThreadmillError, WorkerPool } from 'threadmill'
import { FunctionPool, type NoSuccessError } from 'threadmill/function'
import { exactly } from '../assert'

new ThreadmillError('ERR_THREADMILL_IO', 'message', { cause: new Error('why') })
exactly<Promise<string>>()(new WorkerPool().kernels.sha256('text'))
new FunctionPool().any((error: NoSuccessError) => error.errors.length)
