/** Runs many tasks, one after another or in worker threads (SPEC M30). Each run is one thread's: it has no parallel part. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { perform, type Run, type Standing, type Task } from './outcome.ts'

export interface Watching {
  /** A run has ended; in the order of the tasks, whichever ends first. */
  run(run: Run, index: number): void
  standing(index: number, standing: Standing): void
}

export async function performAll(tasks: readonly Task[], jobs: number, watching: Watching): Promise<void> {
  if (jobs <= 1 || tasks.length <= 1) {
    for (const [index, task] of tasks.entries())
      watching.run(
        perform(task, (standing) => watching.standing(index, standing)),
        index
      )
    return
  }
  let next = 0
  const inOrder = ordered(watching)
  const workers = Array.from({ length: Math.min(jobs, tasks.length) }, () => new Worker(workerFile))
  try {
    await Promise.all(
      workers.map(async (worker) => {
        for (let index = next++; index < tasks.length; index = next++)
          inOrder(await performIn(worker, tasks[index]!, (standing) => watching.standing(index, standing)), index)
      })
    )
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

/** Sources run from .ts, a build from .js. */
const workerFile = new URL(`./worker${extname(import.meta.url)}`, import.meta.url)

export type FromWorker = { run: Run } | { standing: Standing }

function performIn(worker: Worker, task: Task, watch: (standing: Standing) => void): Promise<Run> {
  return new Promise((resolve, reject) => {
    const ended = (code: number) => reject(new Error(`the worker thread of seed ${task.seed} ended with ${code}`))
    const settle = () => worker.off('message', onMessage).off('error', onError).off('exit', ended)
    const onMessage = (message: FromWorker) => {
      if ('standing' in message) return watch(message.standing)
      settle()
      resolve(message.run)
    }
    const onError = (error: Error) => {
      settle()
      reject(error)
    }
    worker.on('message', onMessage).on('error', onError).on('exit', ended)
    worker.postMessage(task)
  })
}

/** Hands runs on in the order of their tasks, so that what is printed does not depend on which thread was faster. */
function ordered({ run }: Watching): (made: Run, index: number) => void {
  const early = new Map<number, Run>()
  let due = 0
  return (made, index) => {
    early.set(index, made)
    for (let one = early.get(due); one !== undefined; one = early.get(due)) {
      early.delete(due)
      run(one, due++)
    }
  }
}
