/** Where the demo shows itself: a picture that is redrawn on a terminal, a line for every change in a pipe. */
import { styleText } from 'node:util'
import { createLogUpdate } from 'log-update'
import { clockOf, draw, type Paint, plain, type Scene } from './view.ts'

const REDRAW_MS = 100

export interface Screen {
  readonly paint: Paint
  /** Something that happened, for those who read lines. */
  line(text: string): void
  /** Leaves the last picture standing and writes below it. */
  end(text: string): void
}

/** @param scene asked for whenever the picture is drawn */
export function createScreen(scene: () => Scene, json: boolean): Screen {
  const { stdout } = process
  return stdout.isTTY && !json ? new Picture(scene, stdout) : new Lines(scene, stdout)
}

class Picture implements Screen {
  readonly paint: Paint = (style, text) => styleText(style, text, { stream: process.stdout })
  readonly #update: ReturnType<typeof createLogUpdate>
  readonly #redraw: () => void
  readonly #timer: NodeJS.Timeout

  constructor(scene: () => Scene, stream: NodeJS.WriteStream) {
    this.#update = createLogUpdate(stream)
    this.#redraw = () => this.#update(draw(scene(), { columns: stream.columns, rows: stream.rows }, this.paint))
    this.#timer = setInterval(this.#redraw, REDRAW_MS)
  }

  line(): void {}

  end(text: string): void {
    clearInterval(this.#timer)
    this.#redraw()
    this.#update.done()
    process.stdout.write(`${text}\n`)
  }
}

class Lines implements Screen {
  readonly paint = plain
  readonly #scene: () => Scene
  readonly #stream: NodeJS.WriteStream

  constructor(scene: () => Scene, stream: NodeJS.WriteStream) {
    this.#scene = scene
    this.#stream = stream
  }

  line(text: string): void {
    this.#stream.write(`${clockOf(this.#scene().elapsedMs)}  ${text}\n`)
  }

  end(text: string): void {
    this.#stream.write(`${text}\n`)
  }
}
