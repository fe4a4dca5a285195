/** Defects planted in the core, one at a time: each is a text of one file and what takes its place (SPEC M48). */

export interface Bug {
  what: string
  /** Under src/. */
  file: string
  from: string
  to: string
}

const bug = (what: string, file: string, from: string, to: string): Bug => ({ what, file, from, to })
const permits = 'overlay/permits.ts'
const object = 'overlay/object.ts'

export const bugs: readonly Bug[] = [
  bug(
    'a member grants one more than k',
    permits,
    'grants.length >= unavailable || ',
    'grants.length > unavailable || '
  ),
  bug('a quorum is one grant too small', permits, '/ (unavailable + 1)) + 1', '/ (unavailable + 1))'),
  bug('a grant is forgotten at a restart', 'overlay/own-permit.ts', "this.#outbox.persist('permit', next)", ''),
  bug(
    'a permit is given back in the middle',
    permits,
    'if (state.asking === 0 || wish.begun)',
    'if (state.asking === 0)'
  ),
  bug(
    'what is told leaves before it is durable',
    'overlay/outbox.ts',
    'for (const effect of this.#sends) effects.push(effect)',
    'effects.unshift(...this.#sends)'
  ),
  bug(
    'a life is not counted',
    'overlay/own-record.ts',
    "this.#outbox.persist('peer', { format: SNAPSHOT_FORMAT, incarnation: this.#incarnation })",
    ''
  ),
  bug(
    'the TF starts while the object serves',
    object,
    "this.run({ command: 'drain', object: this.state.object, boundMs: this.around.drainMs })",
    'this.#transform()'
  ),
  bug(
    'an attempt is used twice',
    object,
    'const attempt = this.state.attempts + 1',
    'const attempt = this.state.attempts'
  ),
  bug(
    'a step that failed is taken for done',
    object,
    'if (!event.ok) return this.#unsuccessful(event, now)\n    // T6',
    '// T6'
  ),
  bug('an upgrade goes on after its abort', object, 'if (forbids === undefined) go()', 'if (forbids !== null) go()'),
  bug(
    'the TF is not told of the future SOs',
    object,
    'version: current.version, future: futures }',
    'version: current.version, future: [] }'
  ),
  bug(
    'future SOs do not go on above the new object',
    object,
    'filter((version) => version > target)',
    'filter(() => false)'
  ),
  bug(
    'a record claims a version that is not served',
    object,
    'this.#futures.highest(current?.version ?? 0)',
    'this.#futures.highest(current?.version ?? 0) + 1'
  ),
  bug(
    'a restart leaves the past SOs out',
    object,
    "{ command: 'start', object, attempt, version, past, future",
    "{ command: 'start', object, attempt, version, past: [], future"
  ),
  bug(
    'the wrong state directory is kept',
    object,
    'keep: this.state.current!.attempt',
    'keep: this.state.current!.attempt - 1'
  ),
  bug('code runs before its bundle is here', 'overlay/needs.ts', 'if (pieces.isReady(sha256)) continue', 'continue'),
  bug(
    'a wrong piece counts as held',
    'overlay/pieces.ts',
    "if (event.outcome === 'wrong') {",
    "if (event.outcome === 'failed') {"
  ),
  bug(
    'what nobody signed is passed on',
    'overlay/injections.ts',
    'if (text instanceof Refusal) {',
    "if (text instanceof Refusal) {\n      outbox.send({ type: 'publish', topic: event.topic, bytes: event.bytes })"
  ),
  bug(
    'a fork goes on by its first branch',
    'upgrade/log.ts',
    'children.length === 1 ? [children[0]!]',
    'children.length > 0 ? [children[0]!]'
  ),
  bug(
    'canaries that fail are taken for good ones',
    'schedule/cohorts.ts',
    "const running = ({ judged }: Cohort): number => judged.filter((one) => one.state === 'runs').length",
    'const running = ({ judged }: Cohort): number => judged.length'
  ),
  bug(
    'nobody waits for canaries',
    'schedule/cohorts.ts',
    'if (first === undefined || (leave',
    'if (first !== null || (leave'
  ),
  bug('a pause is heard and not heeded', 'overlay/decision.ts', 'if (pause !== undefined) {', 'if (pause === null) {'),
  bug(
    'the view has no bound',
    'overlay/view.ts',
    'if (this.#records.size > this.#init.limits.view) {',
    'if (this.#records.size > 1e9) {'
  ),
  bug(
    'the passive set has no bound',
    'overlay/passive.ts',
    'known === undefined && this.#contacts.size >= this.#size',
    'known === undefined && this.#contacts.size >= 1e9'
  ),
  bug(
    'statements are lost where gossip does not bring them',
    'overlay/antientropy.ts',
    'filter((one) => isMissing(one.hash)) : []',
    'filter(() => false) : []'
  ),
  bug(
    'who is excluded is waited for',
    'upgrade/statements.ts',
    'members.includes(peer) === false) return true',
    'members.includes(peer) === null) return true'
  ),
  bug(
    'what keys signed that were rotated away is taken in',
    'overlay/learning.ts',
    "if (!this.#log.has(opened.hash) && !this.#trust.covers('entry', bytes)) return { what: 'lapsed' }",
    ''
  ),
  bug('a root is forgotten at a restart', 'overlay/roots.ts', 'this.#persist(this.#trust.root)', ''),
  bug('roots are not told', 'overlay/antientropy.ts', 'roots: this.#roots.after(digest.root),', 'roots: [],')
]
