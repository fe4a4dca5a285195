/**
 * What code of a chain runs now, and what it may do. A frame is one method (or `start`, `initial`, `intercept` …) of
 * one link; an operation is a call from outside with all the frames it leads to. Frames follow the code through its
 * awaits, so `context.delegate` and `context.state` know on whose behalf they are used.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Link } from './link.ts'

/** look: nothing; set-up: the link's own state; change: its own state and its delegate. */
export type Permission = 'look' | 'set-up' | 'change'

/** A call that entered the chain. */
export interface Operation {
  readonly callId: string | undefined
  /** Milliseconds until its caller gives up. */
  readonly leftMs: () => number
  /** Outward calls made so far, for ids that are the same when the call is retried. */
  outward: number
  /** Open savepoints of this operation. */
  depth: number
  /** waiting: nothing of it was executed; ended: only the commit is missing. */
  stage: 'waiting' | 'running' | 'ended'
  /** The host gave up waiting: whatever it still does has no effect on the state. */
  cut: boolean
}

export function operationOf(callId?: string, leftMs = () => Number.POSITIVE_INFINITY): Operation {
  return { callId, leftMs, outward: 0, depth: 0, stage: 'waiting', cut: false }
}

export class Frame {
  readonly link: Link
  readonly operation: Operation
  readonly permission: Permission
  /** This operation holds the section of this object. */
  readonly holds: boolean
  /** This or another object is held: only concurrent methods may be called (SPEC V6). */
  readonly held: boolean
  ended = false
  #tail: Promise<unknown> | null = null

  constructor(link: Link, operation: Operation, permission: Permission, holds: boolean, held: boolean) {
    this.link = link
    this.operation = operation
    this.permission = permission
    this.holds = holds
    this.held = held
  }

  /** Delegate calls of one frame run one after the other: their savepoints must nest. */
  inOrder<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail === null ? run() : this.#tail.then(run)
    this.#tail = result.then(
      () => undefined,
      () => undefined
    )
    return result
  }

  /** A delegate call that the code did not await still belongs to the operation: it ends inside the section. */
  async end(): Promise<void> {
    for (let tail = this.#tail; tail !== null; tail = this.#tail === tail ? null : this.#tail) await tail
    this.ended = true
  }
}

const frames = new AsyncLocalStorage<Frame>()

/** The frame of the running code; undefined in the background (timers, work left behind by an ended call). */
export function currentFrame(): Frame | undefined {
  const frame = frames.getStore()
  return frame === undefined || frame.ended || frame.operation.cut ? undefined : frame
}

/** Runs the code of a frame and whatever delegate calls it leaves behind. */
export async function runFrame<T>(frame: Frame, code: () => Promise<T> | T): Promise<T> {
  try {
    return await frames.run(frame, code)
  } finally {
    await frame.end()
  }
}
