import assert from 'node:assert/strict'
import ColorSet from '../../../examples/sets/v2/color-set.ts'
import spec from '../../../examples/sets/v2/spec.ts'
import { CallError } from '../../../src/errors.ts'
import { type CheckReport, check } from '../../../src/spec/check.ts'
import { type CallStep, callStep, judge, observersOf, written } from '../../../src/spec/judge.ts'
import { MemoryStage } from '../../../src/spec/memory.ts'
import type { Specification } from '../../../src/spec/specification.ts'
import type { CheckedCode } from '../../../src/spec/subject.ts'
import { suggest } from '../../../src/spec/suggest.ts'
import { FutureColorSet, inMemory, PastIntSet, sets, transform } from './sets.ts'

const effort = { calls: 80_000, histories: 30, killed: 0, seed: 1 }
const run = (code: CheckedCode, of: Specification = spec) => check(of, code, { main: inMemory(code) }, effort)

/** The first violation as one line: the calls and events, and what the last call answered. */
function first({ passes }: CheckReport): string {
  const violation = passes.find((pass) => pass.violation !== null)?.violation
  if (violation === undefined || violation === null) return 'ok'
  const steps = violation.lines.flatMap(({ step }) => {
    if (step.do === 'call') return [written({ from: 1, to: 2 }, step)]
    if (step.do === 'together')
      return [`${written({ from: 1, to: 2 }, step.first)} || ${written({ from: 1, to: 2 }, step.second)}`]
    if (step.do === 'cut') return [`${written({ from: 1, to: 2 }, step.first)} killed`]
    return step.do === 'simulate' ? [] : [`*${step.do}*`]
  })
  return `${violation.rule}: ${steps.join('; ')} = ${violation.lines.at(-1)!.got}`
}

describe('the check of a class upgrade (SPEC Q)', function () {
  this.timeout(60_000)

  it('the correct interceptor violates nothing and refuses nothing; every method was exercised in both phases', async () => {
    const report = await run(sets())
    assert.equal(first(report), 'ok')
    assert.deepEqual([report.breaches, report.droppable, report.undecided, report.ok], [[], [], [], true])
    assert.deepEqual(
      report.coverage.filter((row) => row.served === 0),
      []
    )
    assert.ok(report.passes.every((pass) => pass.calls > 0))
  })

  it('Q6: a table that sees no deletions violates sequence, by the shortest history', async () => {
    class Blind extends FutureColorSet {
      static override intercepts = [] as never
    }
    const found = first(await run(sets({ future: Blind })))
    assert.equal(found, 'sequence: insertColor(1, red)@2; delete(1)@1; insert(1)@1; getColor(1)@2 = "red"')
  })

  it('Q7: a random history speaks of the first of alike values, so that one violation is not shown as two', async () => {
    class Blind extends FutureColorSet {
      static override intercepts = [] as never
    }
    const code = sets({ future: Blind })
    for (const seed of [1, 2, 3, 4]) {
      const { passes } = await check(
        spec,
        code,
        { main: inMemory(code) },
        { calls: 0, histories: 500, killed: 0, seed }
      )
      const found = passes.find((pass) => pass.name === 'random histories')!.violation
      assert.match(found!.text, /getColor\(1\)@2/, `seed ${seed}`)
    }
  })

  it('Q6: a TF that maps anew violates sequence, only across the upgrade', async () => {
    const code = sets({ transform: (context) => transform({ ...context, future: null }) })
    assert.equal(first(await run(code)), 'sequence: insertColor(1, red)@2; *upgrade*; getColor(1)@2 = "blue"')
  })

  it('Q6: a volatile table is found by a restart', async () => {
    class Volatile extends FutureColorSet {
      readonly #colors = new Map<number, string>()
      override async insertColor(x: number, color: string) {
        this.#colors.set(x, color)
        await this.context.delegate.insert(x)
      }
      override async getColor(x: number) {
        return (await this.context.delegate.contains(x)) ? (this.#colors.get(x) ?? 'blue') : null
      }
      override async intercept(method: string, [x]: any[]) {
        if (method === 'delete' || !(await this.context.delegate.contains(x))) this.#colors.delete(x)
        return []
      }
      override async delete(x: number) {
        this.#colors.delete(x)
        await this.context.delegate.delete(x)
      }
    }
    const report = await run(sets({ future: Volatile }))
    assert.equal(first(report), 'sequence: insertColor(1, red)@2; *upgrade*; getColor(1)@2 = "blue"')
    const crashed = report.passes.find((pass) => pass.name.startsWith('crashes between'))!.violation!
    assert.ok(crashed.lines.some((line) => line.step.do === 'restart' || line.step.do === 'upgrade'))
  })

  it('Q6: refusing what is not declared, and claiming to be a subtype, violate disallow', async () => {
    assert.equal(first(await run(sets({ past: 'subtype' }))), 'disallow: *upgrade*; insert(1)@1 = NoSuchMethod')
    class Refusing extends FutureColorSet {
      override async getColor(): Promise<never> {
        throw Object.assign(new Error('not me'), { name: 'Disallowed' })
      }
    }
    assert.equal(first(await run(sets({ future: Refusing }))), 'disallow: getColor(1)@2 = refused')
  })

  it('Q14: a true claim to be a subtype stands, on callers’ nodes too; one that means something else is found', async () => {
    class Wide extends ColorSet {
      static override methods = { ...ColorSet.methods, insert: 'mutator' } as never
      insert(x: number): void {
        if (!this.contains(x)) this.insertColor(x, 'blue')
      }
    }
    class Other extends Wide {
      override insert(x: number): void {
        this.insertColor(x, 'blue')
      }
    }
    const brief = { ...effort, calls: 4_000 }
    const judged = (next: object) => {
      const code = sets({ past: 'subtype', next })
      return check(spec, code, { main: inMemory(code) }, brief)
    }
    const report = await judged(Wide)
    assert.equal(first(report), 'ok')
    assert.ok(report.passes.some((pass) => pass.name.startsWith('stateless') && pass.calls > 100))
    const found = 'sequence: *upgrade*; insertColor(1, red)@2; insert(1)@1; getColor(1)@2 = "blue"'
    assert.equal(first(await judged(Other)), found)
  })

  it('Q8: a concurrent method that makes two delegate calls is found by two calls at once', async () => {
    class Racy extends PastIntSet {
      static override methods = { ...PastIntSet.methods, insert: { kind: 'mutator', concurrent: true } } as never
    }
    const found = first(await run(sets({ past: Racy })))
    assert.equal(found, 'sequence: *upgrade*; insert(1)@1 || insertColor(1, red)@2; getColor(1)@2 = "blue"')
  })

  it('Q6: a current object that refuses violates disallow', async () => {
    class Refusing extends ColorSet {
      override getColor(): never {
        throw new CallError('Disallowed', 'not me')
      }
    }
    assert.equal(first(await run(sets({ next: Refusing }))), 'disallow: *upgrade*; getColor(1)@2 = Disallowed')
  })

  it('Q8: points lie around delegate calls and where a mutator or an interception ends; what is killed never goes on', async () => {
    const zombies: string[] = []
    class Watched extends FutureColorSet {
      override async insertColor(x: number, color: string) {
        await super.insertColor(x, color).catch(() => zombies.push('insertColor'))
        zombies.push('after insertColor')
      }
    }
    const bench = { spec, from: 1, to: 2, future: true, past: true, stage: inMemory(sets({ future: Watched })) }
    const cut = async (first: CallStep) => {
      let points = 0
      for (let isHeld = true; isHeld; points += 1) {
        const held = (reached: boolean) => {
          isHeld = reached
        }
        const step = { do: 'cut', first, heldAt: points } as const
        assert.equal(await judge(bench, [{ do: 'simulate' }, step], { held, observers: observersOf(spec) }), undefined)
        if (isHeld && points < 3) assert.deepEqual(zombies, [])
      }
      return points - 1
    }
    // Before and after insert, which itself ends in between; then its own end.
    const args = { side: 'new', method: 'insertColor', args: [1, 'red'] } as const
    assert.equal(await cut(callStep(args)), 4)
    assert.deepEqual(zombies.splice(0), Array(2).fill('after insertColor'))
    // Around the contains of the interception, its end, and the object's.
    assert.equal(await cut(callStep({ side: 'old', method: 'insert', args: [1] })), 4)
  })

  it('Q4: what both SOs refuse is reported as droppable; what a direct design needs is not', async () => {
    const all = () => true
    const refusing: Specification = {
      ...spec,
      disallows: {
        before: { insertColor: all, delete: all, contains: all, getColor: all },
        after: { insert: all, delete: all, contains: all }
      }
    }
    const refuse = (Code: any) => {
      class Refuses extends Code {}
      for (const method of Object.keys(Code.methods))
        (Refuses.prototype as any)[method] = async () => {
          throw Object.assign(new Error('no'), { name: 'Disallowed' })
        }
      return Object.assign(Refuses, { methods: Code.methods, intercepts: [] })
    }
    const report = await run(
      sets({ future: refuse(FutureColorSet), past: refuse(PastIntSet), transform: (c) => transform(c) }),
      refusing
    )
    assert.equal(first(report), 'ok')
    const named = [...report.droppable, ...report.droppableByInterception].map((one) => `${one.phase} ${one.method}`)
    for (const method of Object.keys(refusing.disallows.before)) assert.ok(named.includes(`before ${method}`), method)
    for (const method of Object.keys(refusing.disallows.after)) assert.ok(named.includes(`after ${method}`), method)
  })

  it('Q14: stateless methods come out the same on callers’ nodes; a false claim is found', async () => {
    const claiming = (insert: object) => {
      class Claiming extends PastIntSet {
        static override methods = {
          ...PastIntSet.methods,
          insert,
          delete: { kind: 'mutator', stateless: true },
          contains: { kind: 'observer', stateless: true }
        } as never
      }
      return sets({ past: Claiming })
    }
    const honest = await run(claiming({ kind: 'mutator' }))
    const pass = honest.passes.find((one) => one.name.startsWith('stateless'))
    assert.equal(first(honest), 'ok')
    assert.ok(pass !== undefined && pass.calls > 100)
    assert.ok(!(await run(sets())).passes.some((one) => one.name.startsWith('stateless')))
    const false_ = await run(claiming({ kind: 'mutator', stateless: true }))
    assert.equal(first(false_), 'type: *upgrade*; insert(1)@1 = NotStateless')
    assert.match(
      false_.passes.find((one) => one.violation !== null)!.violation!.text,
      /broke its claim to be stateless/
    )
  })

  it('Q15: suggests the weakest refusal that helps, or says that none does', async () => {
    class Blind extends FutureColorSet {
      static override intercepts = [] as never
    }
    const bounds = { mutators: 3, alike: 1 }
    assert.deepEqual(await suggest(spec, sets({ future: Blind }), inMemory, bounds), [
      { phase: 'before', method: 'insertColor', args: [null, 'red'] }
    ])
    class Amnesiac extends PastIntSet {
      override async insert() {}
    }
    const found = await suggest(spec, sets({ past: Amnesiac }), inMemory, bounds)
    assert.deepEqual(found, [{ phase: 'after', method: 'insert', args: [null] }])
  })

  it('Q18: effects that tell something else than the shadow are found, before and after the upgrade', async () => {
    const telling = (Code: any, effects: (so: any, method: string, x: number) => Promise<unknown>) => {
      class Telling extends Code {
        effects(method: string, [x]: [number]) {
          return effects(this, method, x)
        }
      }
      return Telling
    }
    const future = async (so: any, method: string, x: number) =>
      method === 'delete' ? [['delete', x]] : (await so.contains(x)) ? [] : [['insertColor', x, 'blue']]
    const past = async (_: any, method: string, x: number) => [[method === 'delete' ? 'delete' : 'insert', x]]
    const stages = (code: CheckedCode) => ({
      main: inMemory(code),
      stacked: (codes: readonly CheckedCode[]) =>
        new MemoryStage(codes, { defer: (callback) => queueMicrotask(callback) })
    })
    const verdict = async (parts: Parameters<typeof sets>[0]) => {
      const code = sets(parts)
      const report = await check(spec, code, stages(code), { ...effort, calls: 5_000 })
      const pass = report.passes.find((one) => one.name.includes('passes below') && one.violation !== null)
      return {
        ran: report.passes.filter((one) => one.name.includes('passes below')).length,
        text: pass?.violation?.text
      }
    }
    const right = { future: telling(FutureColorSet, future), past: telling(PastIntSet, past) }
    assert.deepEqual(await verdict(right), { ran: 2, text: undefined })
    assert.deepEqual(
      await verdict({}),
      { ran: 1, text: undefined },
      'the shipped future SO has effects, the past SO none'
    )
    const always = telling(FutureColorSet, async (_, method, x) =>
      method === 'delete' ? [['delete', x]] : [['insertColor', x, 'blue']]
    )
    assert.equal(
      (await verdict({ ...right, future: always })).text,
      '"effects" says that insert(1)@1 means insertColor(1, blue)@2, which makes {"1":"blue"}; the shadow makes {"1":"red"}'
    )
    const silent = telling(PastIntSet, async () => [])
    assert.match(
      (await verdict({ ...right, past: silent })).text!,
      /insertColor\(1, blue\)@2 means nothing, which makes/
    )
  })
})
