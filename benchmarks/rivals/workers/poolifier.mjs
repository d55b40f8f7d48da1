// A worker as poolifier's documentation shows it.
import { workerData } from 'node:worker_threads'
import { ThreadWorker } from 'poolifier'

const { run } = await import(workerData.module)

export default new ThreadWorker(run)
