import assert from 'node:assert/strict'
import { check } from '../../../src/spec/check.ts'
import { MemoryStage } from '../../../src/spec/memory.ts'
import type { CheckedCode, CheckedSimulation } from '../../../src/spec/subject.ts'
import { checkWhole, climb, type Tower, type TowerStep, unreachable } from '../../../src/spec/tower.ts'
import { interceptsOf, interfaceOf } from '../../fixtures/sets/links.ts'
import { specOf } from '../../fixtures/tower/models.ts'
import { futureOf, objectOf, pastOf, transformTo } from '../../fixtures/tower/parts.ts'

const VERSIONS = 5
const object = (version: number) => {
  const Code = objectOf(version)
  return {
    className: 'AttributeSet',
    interface: interfaceOf(Code),
    construct: (context: any) => new Code(context) as never
  }
}
const simulation = (Code: any): CheckedSimulation => ({
  interface: interfaceOf(Code),
  intercepts: interceptsOf(Code),
  ...(typeof Code.prototype.effects === 'function' ? { effects: true } : {}),
  construct: (context) => new Code(context)
})
const codeTo = (version: number, changed: { future?: any; past?: any } = {}): CheckedCode => ({
  from: version - 1,
  to: version,
  old: object(version - 1),
  new: object(version),
  future: simulation(changed.future ?? futureOf(version)),
  past: simulation(changed.past ?? pastOf(version - 1)),
  transform: transformTo(version)
})
const defer = (callback: () => void) => queueMicrotask(callback)
const steps = Array.from({ length: VERSIONS - 1 }, (_, index) => index + 2)

function tower(changed: Record<number, { future?: any; past?: any }> = {}): Tower {
  const codes = steps.map((version) => codeTo(version, changed[version]))
  return { codes, specs: steps.map(specOf), stage: new MemoryStage(codes, { defer }) }
}
const call = (version: number, method: string, ...args: string[]): TowerStep => ({
  do: 'call',
  level: version - 1,
  method,
  args
})

describe('a chain of five versions (SPEC Q13, V14)', function () {
  this.timeout(60_000)

  it('is right pair by pair: knowing only two versions', async () => {
    for (const version of steps) {
      const code = codeTo(version)
      const report = await check(
        specOf(version),
        code,
        { main: new MemoryStage(code, { defer }) },
        {
          calls: 40_000,
          histories: 20,
          killed: 0,
          seed: version
        }
      )
      assert.deepEqual([report.ok, report.droppable], [true, []])
    }
  })

  it('is right as a whole: calls at five versions, upgrades and crashes in between', async () => {
    const result = await checkWhole(tower(), { mutators: 2, seed: 5, histories: 150, calls: 20 })
    assert.deepEqual([result.violation, result.unreachable], [undefined, []])
    assert.ok(result.histories > 1000)
  })

  it('the history that needs effects: what is written at the top, gone and back at the bottom, has its default', async () => {
    const history = [call(3, 'put', 'a', 'v3'), call(1, 'delete', 'a'), call(1, 'put', 'a', 'd1'), call(3, 'get', 'a')]
    assert.equal(await climb(tower(), history), undefined)
  })

  it('an outer interceptor that no effect can reach is reported, and a history shows it', async () => {
    class Silent extends futureOf(3) {}
    Object.defineProperty(Silent.prototype, 'effects', { value: undefined })
    const silent = tower({ 3: { future: Silent } })
    assert.deepEqual(unreachable(silent), [
      'the future SO of version 4 intercepts on that of version 3, which emits no effects'
    ])
    const { violation } = await checkWhole(silent, { mutators: 1, seed: 1, histories: 20, calls: 12 })
    assert.match(violation!.text, /emits no effects/)
  })

  it('effects that tell too little are found, by a short history', async () => {
    class Forgetful extends futureOf(2) {
      override async effects(): Promise<any> {
        return []
      }
    }
    const { violation } = await checkWhole(tower({ 2: { future: Forgetful } }), {
      mutators: 3,
      seed: 1,
      histories: 0,
      calls: 12
    })
    assert.ok(violation !== undefined)
    assert.ok(violation.steps.length <= 5, violation.steps.join('; '))
  })
})
