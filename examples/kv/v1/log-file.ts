/**
 * An append-only file of JSON lines in frames: ⟨length, crc32, payload⟩. One frame is one group commit, and a frame is
 * written only after the fsync of the one before it: so a crash can tear only the last one (SPEC K11).
 */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'

const HEADER_BYTES = 8
const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** What was read so far: the records of one frame, and where it ends. */
interface Frame {
  records: unknown[]
  end: number
}

/**
 * The frames of a file in order. A torn last frame ends the reading; a damaged one before the end is an error, since
 * acknowledged writes would be lost if it were passed over.
 */
export async function* readFrames(path: string): AsyncGenerator<Frame> {
  const { size } = await stat(path)
  let buffered: Buffer = Buffer.alloc(0)
  let at = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
    while (buffered.length >= HEADER_BYTES) {
      const length = buffered.readUInt32LE(0)
      const end = at + HEADER_BYTES + length
      if (length === 0 || end > size) return
      if (length > MAX_FRAME_BYTES) throw damaged(path, at)
      if (buffered.length < HEADER_BYTES + length) break
      const payload = buffered.subarray(HEADER_BYTES, HEADER_BYTES + length)
      if (crc32(payload) !== buffered.readUInt32LE(4)) {
        if (end === size) return
        throw damaged(path, at)
      }
      yield { records: payload.toString('utf8').split('\n').map(parse), end }
      buffered = buffered.subarray(HEADER_BYTES + length)
      at = end
    }
  }
}

const parse = (line: string): unknown => JSON.parse(line)

const damaged = (path: string, at: number) =>
  new Error(
    `${path} is damaged at byte ${at}, before its end: restore it, or remove it and let this member fill itself`
  )

export function frame(records: unknown[]): Buffer {
  const payload = Buffer.from(records.map((record) => JSON.stringify(record)).join('\n'))
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(payload.length, 0)
  header.writeUInt32LE(crc32(payload), 4)
  return Buffer.concat([header, payload])
}

/** The file open for appending. Whoever appends awaits `flushed()` before it answers. */
export class LogFile {
  readonly #file: FileHandle
  #waiting: unknown[] = []
  #flush: Promise<void> = Promise.resolve()
  #scheduled = false
  #failure: unknown

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Hands every record to `take`, cuts a torn tail off, and opens the file. Gives the bytes that were cut. */
  static async open(path: string, take: (record: any) => void): Promise<{ log: LogFile; cutBytes: number }> {
    const file = await open(path, 'a+')
    try {
      let end = 0
      for await (const frame of readFrames(path)) {
        for (const record of frame.records) take(record)
        end = frame.end
      }
      const { size } = await file.stat()
      if (size > end) {
        await file.truncate(end)
        await file.datasync()
      }
      return { log: new LogFile(file), cutBytes: size - end }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  append(record: unknown): void {
    this.check()
    this.#waiting.push(record)
    if (this.#scheduled) return
    this.#scheduled = true
    // All that is appended while the previous group is synced becomes the next group.
    this.#flush = this.#flush.then(() => this.#commit())
    // Whoever waits for the group sees its failure; without this line nobody waiting would end the process.
    this.#flush.catch((error) => {
      this.#failure = error
    })
  }

  /** Resolves when everything appended before is durable. */
  flushed(): Promise<void> {
    return this.#flush
  }

  /** Throws if the file can no longer be written. */
  check(): void {
    if (this.#failure) throw new Error('the log file cannot be written', { cause: this.#failure })
  }

  async close(): Promise<void> {
    try {
      await this.#flush
    } finally {
      await this.#file.close()
    }
  }

  async #commit(): Promise<void> {
    const records = this.#waiting
    this.#waiting = []
    this.#scheduled = false
    await this.#file.appendFile(frame(records))
    await this.#file.datasync()
  }
}
