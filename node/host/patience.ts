/** Bounds on waiting: for an answer of a process, and for the end of a call (SPEC H10). */
import { CallError } from '../../src/errors.ts'
import type { Value } from '../../src/versions/types.ts'
import type { HostCall } from './host.ts'

/** Rejects with what `error` makes after `timeoutMs`; the promise itself goes on. */
export function within<T>(promise: Promise<T>, timeoutMs: number, error: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(error()), timeoutMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** How much is left of some milliseconds from now on. */
export function countdown(ms: number): () => number {
  const end = performance.now() + ms
  return () => end - performance.now()
}

type Waiting = Pick<HostCall, 'timeoutMs' | 'signal'>

/** Throws if the caller does not wait for an answer any more. */
export function checkPatience({ timeoutMs, signal }: Waiting): void {
  if (timeoutMs <= 0) throw new CallError('DeadlineExceeded', 'no time was left for the call; it was not executed')
  if (signal?.aborted) throw new CallError('Cancelled', 'given up before it was executed')
}

/** The answer, or what the caller hears when its time is over or it gives up; `givenUp` is told so. */
export function patient(call: Waiting, answer: Promise<Value>, givenUp: (error: CallError) => void): Promise<Value> {
  const { timeoutMs, signal } = call
  return new Promise((resolve, reject) => {
    const giveUp = (error: CallError) => {
      reject(error)
      givenUp(error)
    }
    const timer = setTimeout(() => {
      giveUp(new CallError('DeadlineExceeded', `no answer within ${timeoutMs} ms; it may have been executed`))
    }, timeoutMs)
    const abort = () => giveUp(new CallError('Cancelled', 'given up; it may have been executed'))
    signal?.addEventListener('abort', abort, { once: true })
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    answer.then(
      (value) => {
        end()
        resolve(value)
      },
      (error) => {
        end()
        reject(error)
      }
    )
  })
}
