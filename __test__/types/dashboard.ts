// What serves a dashboard. Checked by tsc, never run.
import { WorkerPool } from 'threadmill'
import { type Dashboard, type DashboardData, type RunningTask, serveDashboard } from 'threadmill/dashboard'
import { type Assert, exactly, type Same } from './assert'

const kernels = new WorkerPool()
const tasks = new WorkerPool<number, string>('./worker.js')

exactly<Promise<Dashboard>>()(serveDashboard(kernels))
serveDashboard([kernels, tasks], { port: 9000, host: '::1', token: 'x'.repeat(16), allowActions: true, interval: 500 })
serveDashboard(new Set([tasks])).then(async (dashboard) => {
  dashboard.add(kernels)
  exactly<boolean>()(dashboard.remove(kernels))
  exactly<string | undefined>()(dashboard.token)
  exactly<Promise<void>>()(dashboard.close())
})
export type Running = Assert<Same<DashboardData['pools'][number]['running'], readonly RunningTask[]>>

// @ts-expect-error there is no default pool
serveDashboard()
// @ts-expect-error not a pool
serveDashboard({})
// @ts-expect-error a port is a number
serveDashboard(kernels, { port: '9000' })
// @ts-expect-error there is no such option
serveDashboard(kernels, { readonly: true })
