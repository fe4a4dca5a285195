/** What histories have exercised (SPEC Q9), and so what they have not. */
import type { Call, Phase } from './model.ts'
import { mutatorsOf, type Specification } from './specification.ts'

export interface CoverageRow {
  side: 'old' | 'new'
  method: string
  phase: Phase
  served: number
  refused: number
}

export class Coverage {
  calls = 0
  histories = 0
  readonly events: Record<string, number> = {}
  readonly #rows = new Map<string, CoverageRow>()
  /** Ordered pairs of mutators that came one after the other. */
  readonly #followed = new Set<string>()
  readonly #mutators: ReadonlySet<string>
  #last = ''

  constructor(spec: Specification) {
    this.#mutators = new Set(
      (['old', 'new'] as const).flatMap((side) => mutatorsOf(spec[side]).map((method) => `${side}.${method}`))
    )
    for (const side of ['old', 'new'] as const)
      for (const method of Object.keys(spec[side].methods))
        for (const phase of ['before', 'after'] as const)
          this.#rows.set(`${side} ${method} ${phase}`, { side, method, phase, served: 0, refused: 0 })
  }

  begin(): void {
    this.histories += 1
    this.#last = ''
  }

  call({ side, method }: Call, phase: Phase, refused: boolean): void {
    this.calls += 1
    const row = this.#rows.get(`${side} ${method} ${phase}`)!
    if (refused) row.refused += 1
    else row.served += 1
    const name = `${side}.${method}`
    if (!this.#mutators.has(name)) return
    if (this.#last !== '') this.#followed.add(`${this.#last} → ${name}`)
    this.#last = name
  }

  event(what: string, phase: Phase): void {
    this.events[`${what} ${phase}`] = (this.events[`${what} ${phase}`] ?? 0) + 1
  }

  rows(): CoverageRow[] {
    return [...this.#rows.values()]
  }
  /** Ordered pairs of mutators that came one after the other, of all that there are. */
  get interleavings(): { seen: number; all: number } {
    return { seen: this.#followed.size, all: this.#mutators.size ** 2 }
  }
}
