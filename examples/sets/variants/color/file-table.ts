/**
 * Table of colours in files, object in files: each write is durable at once, and a crash may come between two. Right,
 * because it inserts the colour first and deletes the element first: what a crash leaves over is the colour of an
 * absent element, and whoever inserts that finds it absent.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StateWrite, Value } from '../../../../src/index.ts'
import FutureColorSet from '../../v2/future-color-set.ts'

export default class FileTable extends FutureColorSet {
  static override intercepts = ['insert'] as never
  override async insertColor(x: number, color: string) {
    this.put(x, color)
    await this.context.delegate.insert(x)
  }
  override async delete(x: number) {
    await this.context.delegate.delete(x)
    this.forget(x)
  }
  override async getColor(x: number) {
    if (!(await this.contains(x))) return null
    return existsSync(this.#path(x)) ? readFileSync(this.#path(x), 'utf8') : 'blue'
  }
  override async intercept(_method: string, [x]: Value[]): Promise<StateWrite[]> {
    if (!(await this.contains(x as number))) this.forget(x as number)
    return []
  }
  protected put(x: number, color: string) {
    writeFileSync(this.#path(x), color)
  }
  protected forget(x: number) {
    rmSync(this.#path(x), { force: true })
  }
  #path(x: number): string {
    return join(this.context.directory, String(x))
  }
}
