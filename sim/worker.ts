/** One worker thread of `performAll`: a task in, its run out. */
import { parentPort } from 'node:worker_threads'
import type { FromWorker } from './jobs.ts'
import { perform, type Task } from './outcome.ts'

const say = (message: FromWorker) => parentPort!.postMessage(message)

parentPort!.on('message', (task: Task) => say({ run: perform(task, (standing) => say({ standing })) }))
