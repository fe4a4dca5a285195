/** What is shown: for each schedule the line that an author writes, what it is to do, and how that is found out. */
import { setTimeout as delay } from 'node:timers/promises'
import { mostAtOnce, type Stretch } from '../outages.ts'
import { type Actor, objectOf, outageOf, runs, type Stage } from './stage.ts'

export interface Finding {
  held: boolean
  text: string
}

export interface Show {
  title: string
  /** As an author writes it. */
  schedule: string
  broken?: boolean
  /** The schedule of a class that comes with it, given its version. */
  reader?: (version: number) => string
  modules?: Readonly<Record<string, string>>
  /** The upgrade is injected by `play`, when the time has come. @default false: it is injected before */
  late?: boolean
  play(stage: Stage, release: () => Promise<void>): Promise<Finding[]>
}

const now = (): number => performance.timeOrigin + performance.now()
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
const find = (held: boolean, text: string): Finding => ({ held, text })

/** Who stopped for the upgrade, the first first. */
function outages(actors: readonly Actor[]): (Stretch & { actor: Actor })[] {
  return actors
    .flatMap((actor) => {
      const outage = outageOf(actor)
      return outage === undefined ? [] : [{ actor, ...outage }]
    })
    .sort((a, b) => a.fromMs - b.fromMs)
}

const all = (stage: Stage): Finding => {
  const upgraded = stage.actors.filter(runs(stage.version)).length
  return find(upgraded === stage.actors.length, `${upgraded} of ${stage.actors.length} peers run the new version`)
}
const saysOf = (pattern: RegExp) => (actor: Actor) => pattern.test(objectOf(actor)?.reason ?? '')
const siteOf = ({ member }: Actor): string => member.group

/** The window opens every ten seconds, for six. */
const [EVERY_MS, OPEN_MS] = [10_000, 6_000]
/** Between the decision to stop and the stop lie a durable write and a message to the object's process. */
const STOPPING_MS = 1_000

const CANARIES = 2

/** Phases of an object that waits. */
const IDLE: ReadonlySet<string> = new Set(['idle', 'fetching', 'waiting'])

const ONE_BY_ONE = `import type { ScheduleContext } from 'upstart-peer'

export default ({ self, group, version }: ScheduleContext) => {
  const before = group.find((one) => one.peer < self.peer && (one.version < version || !one.serving))
  return before === undefined ? { go: true } : { wait: \`for \${before.peer.slice(-6)}\` }
}
`

export const SHOWS: Readonly<Record<string, Show>> = {
  manual: {
    title: 'nobody goes before an operator approves',
    schedule: '{ when: manual(), constraints: [] }',
    async play(stage) {
      await stage.until('all wait', saysOf(/^waits for an approval/))
      const approvedMs = now()
      await stage.operator.state(stage.someone, 'approve', String(stage.version))
      await stage.upgraded()
      const [first] = outages(stage.actors)
      return [all(stage), find(first!.fromMs >= approvedMs, 'every one of them stopped after the approval')]
    }
  },
  window: {
    title: 'only while a window is open: here six seconds of every ten',
    schedule: `{ when: window({ cron: '*/10 * * * * *', duration: '6s' }), constraints: [] }`,
    late: true,
    async play(stage, release) {
      // It comes while the window is closed.
      await delay((EVERY_MS + OPEN_MS - (now() % EVERY_MS)) % EVERY_MS)
      await release()
      await stage.upgraded()
      const odd = outages(stage.actors).filter(({ fromMs }) => fromMs % EVERY_MS > OPEN_MS + STOPPING_MS)
      return [all(stage), find(odd.length === 0, `${odd.length} stopped while the window was closed`)]
    }
  },
  rolling: {
    title: 'at once, but never more than one of a group down',
    schedule: `{ when: immediately(), constraints: [rolling({ by: 'group', unavailable: 1 })] }`,
    async play(stage) {
      await stage.upgraded()
      const groups = [...Map.groupBy(outages(stage.actors), ({ actor }) => siteOf(actor)).values()]
      const most = Math.max(...groups.map((one) => mostAtOnce(one.map((stretch) => [stretch]))))
      return [all(stage), find(most === 1, `at most ${most} member of a group was down at one moment`)]
    }
  },
  'big-flip': {
    title: 'one half of the fleet, then the other',
    schedule: `{ when: domains({ by: 'site', order: ['a', 'b'] }), constraints: [] }`,
    async play(stage) {
      await stage.upgraded()
      const stretches = outages(stage.actors)
      const lastMs = Math.max(...stretches.filter(({ actor }) => siteOf(actor) === 'a').map(({ toMs }) => toMs))
      const firstMs = Math.min(...stretches.filter(({ actor }) => siteOf(actor) === 'b').map(({ fromMs }) => fromMs))
      const text = `site b began ${seconds(firstMs - lastMs)} after the last of site a served again`
      return [all(stage), find(firstMs > lastMs, text)]
    }
  },
  'servers-first': {
    title: 'a class that calls the counters starts where they all have upgraded',
    schedule: `{ when: gradual({ over: '5s' }), constraints: [] }`,
    reader: (version) => `{ when: after({ class: 'Counter', version: ${version} }), constraints: [] }`,
    async play(stage) {
      const isReader = (actor: Actor): boolean => siteOf(actor) === 'b'
      // Before it was last seen without a reader none had begun.
      const without = new Map<Actor, number>()
      await stage.until('the readers serve', (actor) => {
        const reader = actor.status?.objects['Reader']
        const begun = reader !== undefined && (reader.version > 0 || !IDLE.has(reader.phase))
        if (!begun) without.set(actor, actor.asked[0])
        return !isReader(actor) || reader?.serving === true
      })
      await stage.upgraded()
      const lastMs = Math.max(...outages(stage.actors).map(({ toMs }) => toMs))
      const readers = stage.actors.filter(isReader)
      const late = readers.filter((actor) => (without.get(actor) ?? 0) >= lastMs).length
      return [
        all(stage),
        find(late === readers.length, `${late} of ${readers.length} readers began after the last of them`)
      ]
    }
  },
  custom: {
    title: 'code in the bundle: the members of a site one after another, by their ids',
    schedule: `{ when: custom('./schedule.ts'), constraints: [] }`,
    modules: { 'schedule.ts': ONE_BY_ONE },
    async play(stage) {
      await stage.upgraded()
      const sites = [...Map.groupBy(outages(stage.actors), ({ actor }) => siteOf(actor)).values()]
      const inOrder = sites.filter((site) =>
        site.every((one, at) => {
          const before = site[at - 1]
          return before === undefined || (before.actor.member.peer < one.actor.member.peer && before.toMs < one.fromMs)
        })
      )
      return [
        all(stage),
        find(inOrder.length === sites.length, `${inOrder.length} of ${sites.length} sites went in that order`)
      ]
    }
  },
  pause: {
    title: 'an operator stops a roll-out in the middle, and lets it go on',
    schedule: `{ when: gradual({ over: '10s' }), constraints: [] }`,
    async play(stage) {
      const isDone = runs(stage.version)
      await stage.until('the first has gone', () => stage.actors.some(isDone))
      await stage.operator.state(stage.someone, 'pause', '--note', 'let us look at it')
      const isPaused = saysOf(/^paused by statement/)
      await stage.until('the others are paused', (actor) => isDone(actor) || isPaused(actor))
      const pausedMs = now()
      const held = stage.actors.filter((actor) => !isDone(actor)).length
      await delay(3_000)
      const resumedMs = now()
      await stage.operator.state(stage.someone, 'resume')
      await stage.upgraded()
      const between = outages(stage.actors).filter(({ fromMs }) => fromMs > pausedMs && fromMs < resumedMs)
      return [
        all(stage),
        find(held > 0, `the pause held ${held} of ${stage.actors.length} peers`),
        find(
          between.length === 0,
          `${between.length} stopped in the ${seconds(resumedMs - pausedMs)} in which all knew of it`
        )
      ]
    }
  },
  canary: {
    title: 'two peers first; the others when these have run well for two seconds',
    schedule: `{ when: canary({ count: ${CANARIES}, soak: '2s' }), constraints: [] }`,
    async play(stage) {
      await stage.upgraded()
      const stretches = outages(stage.actors)
      const servedMs = Math.max(...stretches.slice(0, CANARIES).map(({ toMs }) => toMs))
      const soakedMs = stretches[CANARIES]!.fromMs - servedMs
      return [all(stage), find(soakedMs >= 2_000, `the others began ${seconds(soakedMs)} after the canaries served`)]
    }
  },
  failing: {
    title: 'a version that is out of order stops at its canaries, and everybody knows why',
    schedule: `{ when: canary({ count: ${CANARIES}, soak: '2s' }), constraints: [] }`,
    broken: true,
    async play(stage) {
      const told = /^waits for canaries: .* went back: .*out of order/
      const wentBack = (actor: Actor): boolean =>
        objectOf(actor)?.failed.some(({ version }) => version === stage.version) ?? false
      const isStill = (actor: Actor): boolean => runs(stage.version - 1)(actor) && wentBack(actor)
      await stage.until('canaries went back, the others say so', (actor) => isStill(actor) || saysOf(told)(actor))
      const affected = stage.actors.filter((actor) => outageOf(actor) !== undefined || wentBack(actor)).length
      const serving = stage.actors.filter((actor) => objectOf(actor)?.serving).length
      const next = stage.actors.find(saysOf(told))
      return [
        find(
          affected >= 1 && affected <= CANARIES,
          `${affected} of ${stage.actors.length} peers were affected; declared were ${CANARIES}`
        ),
        find(serving === stage.actors.length, `${serving} of ${stage.actors.length} peers serve the version before`),
        find(next !== undefined, `${next?.member.name} says: ${next === undefined ? '' : objectOf(next)?.reason}`)
      ]
    }
  }
}
