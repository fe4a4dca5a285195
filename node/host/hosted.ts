/**
 * What runs in a hosted process (SPEC H4): one object, one transform, or the probe of one module. It ends when its pipe
 * to the daemon closes.
 */
import { flushCompileCache } from 'node:module'
import { Socket } from 'node:net'
import { CallError, Refusal } from '../../src/errors.ts'
import type { ScheduleFacts } from '../../src/schedule/context.ts'
import type { Guest } from '../../src/versions/guest.ts'
import type { GroupMember, Value } from '../../src/versions/types.ts'
import { lacksSpace } from '../obstacles.ts'
import { Conversation } from './conversation.ts'
import type { GuestPlan, LinkPlan, ObjectPlan, TransformPlan } from './host.ts'
import { countdown } from './patience.ts'
import { ask, importDefault, makeGuest, ObjectRuntime, type RuntimeOutward } from './runtime.ts'
import { Transform } from './transform.ts'

type CallArguments = [
  version: number,
  method: string,
  args: Value[],
  callId: string,
  held: boolean,
  timeoutMs: number,
  simulates: number | null
]
type VisitArguments = [run: number, method: string, args: Value[], callId: string, held: boolean, timeoutMs: number]

/** The pipe's descriptor. */
const PIPE = 3

const [maxFrameBytes, maxQueuedBytes] = process.argv.slice(2).map(Number) as [number, number]
let members: GroupMember[] = []
let object: ObjectRuntime | null = null
let transform: Transform | null = null
let guest: Guest | null = null
/** Calls that the daemon may still give up. */
const tickets = new Map<number, { cancelled: boolean }>()

const conversation = new Conversation(new Socket({ fd: PIPE, readable: true, writable: true }), {
  maxFrameBytes,
  maxQueuedBytes,
  closed: () => process.exit(0),
  lost: (kind, _, reason) => new CallError('Unavailable', `${kind}: ${reason}`),
  handlers: {
    warm: async ([plan]: [ObjectPlan]) => {
      object = await ObjectRuntime.warm(plan, outward)
      flushCompileCache()
    },
    start: async () => {
      try {
        return await runtime().start()
      } catch (error) {
        // No fault of the code that met it: the daemon is to know (L12).
        throw lacksSpace(error) ? new Refusal('NoSpace', (error as Error).message, { cause: error }) : error
      }
    },
    health: () => runtime().health(),
    serve: () => runtime().serve(),
    call: async ([version, method, args, callId, held, timeoutMs, simulates]: CallArguments, id) => {
      const ticket = { cancelled: false }
      tickets.set(id, ticket)
      const leftMs = countdown(timeoutMs)
      const mark = simulates === null ? {} : { simulates }
      try {
        return await runtime().call({ version, method, args, callId, held, ticket, leftMs, ...mark })
      } finally {
        tickets.delete(id)
      }
    },
    cancel: ([id]: [number]) => {
      const ticket = tickets.get(id)
      if (ticket !== undefined) ticket.cancelled = true
    },
    simulate: ([link]: [LinkPlan]) => runtime().simulate(link),
    remove: ([versions]: [number[]]) => runtime().remove(versions),
    stop: async ([boundMs]: [number]) => {
      const stopped = await runtime().stop(boundMs)
      // The daemon ends this process when it has the answer: those of the calls go before it.
      await new Promise(setImmediate)
      return stopped
    },
    members: ([list]: [GroupMember[]]) => {
      members = list
    },
    'warm-guest': async ([plan]: [GuestPlan]) => {
      guest = await makeGuest(plan, {
        delegate: (call) => conversation.request('delegate', call).answer,
        log: outward.log
      })
      flushCompileCache()
    },
    visit: ([run, method, args, callId, held, timeoutMs]: VisitArguments) => {
      if (guest === null) throw new Error('no guest is warm')
      return guest.call({ run, method, args, callId, held, leftMs: countdown(timeoutMs) })
    },
    'warm-transform': async ([plan]: [TransformPlan]) => {
      transform = await Transform.warm(plan, {
        log: outward.log,
        progress: (fraction) => conversation.notify('progress', fraction)
      })
      flushCompileCache()
    },
    transform: ([reserveBytes]: [number]) => {
      if (transform === null) throw new Error('no transform is warm')
      return transform.run(reserveBytes)
    },
    ask: ([module, facts]: [string, ScheduleFacts]) => ask(module, facts),
    compile: () => flushCompileCache(),
    probe: async ([module]: [string]) => {
      await importDefault(module)
    }
  }
})

const outward: RuntimeOutward = {
  call: (call) => conversation.request('outward', call).answer,
  members: () => members,
  log: (message, fields) => conversation.notify('log', message, fields),
  faulty: (version, reason) => conversation.notify('faulty', version, reason),
  fatal: (error) => {
    conversation.notify('fatal', error.message, lacksSpace(error))
    conversation.finish()
    process.exitCode = 1
  }
}

function runtime(): ObjectRuntime {
  if (object === null) throw new Error('no object is warm')
  return object
}
