/**
 * Space that is kept for the moment in which the disk is full (SPEC D14). Then the store must still be able to say that
 * an upgrade went back: what filled the disk is deleted only after that is durable.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { lacksSpace } from '../obstacles.ts'

/** Dozens of commits, and what the object that serves again needs to open its state. */
const BALLAST_BYTES = 4 * 1024 * 1024
/** It is not laid up again before so much more is free, or it would be the one to fill the disk. */
const FREE_BYTES = 4 * BALLAST_BYTES
const CHUNK = new Uint8Array(256 * 1024).fill(0x42)
/** How often a disk that was full is looked at, at most. */
const LOOK_AGAIN_MS = 10_000

export class Ballast {
  readonly #directory: string
  readonly #file: string
  #isThere: boolean
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(directory: string) {
    this.#directory = directory
    this.#file = join(directory, 'ballast')
    this.#isThere = existsSync(this.#file)
  }

  /** Lays it up if it is not there and there is room for it. */
  keep(): void {
    if (this.#isThere || performance.now() - this.#lookedAt < LOOK_AGAIN_MS) return
    this.#lookedAt = performance.now()
    const { bavail, bsize } = statfsSync(this.#directory)
    if (bavail * bsize < FREE_BYTES) return
    const handle = openSync(this.#file, 'w', 0o600)
    try {
      for (let written = 0; written < BALLAST_BYTES; written += CHUNK.length) writeSync(handle, CHUNK)
      fsyncSync(handle)
      this.#isThere = true
    } catch (error) {
      // Somebody else took the space: whoever committed is not to hear of that, and a later commit tries again.
      if (!lacksSpace(error)) throw error
    } finally {
      closeSync(handle)
      if (!this.#isThere) rmSync(this.#file, { force: true })
    }
  }

  /** The disk is full. @returns whether there was something to give */
  release(): boolean {
    if (!this.#isThere) return false
    rmSync(this.#file, { force: true })
    this.#isThere = false
    this.#lookedAt = performance.now()
    return true
  }
}
