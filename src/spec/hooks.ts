/**
 * Puts the check between a link's code and its chain (SPEC Q8): points at which another call may come between, or the
 * process end. They lie around delegate calls, and where a mutator or an interception ends and is not committed yet.
 */
import type { Interface } from '../upgrade/manifest.ts'
import { currentFrame, type Frame } from '../versions/frame.ts'
import type { HostedObject, SimulationContext, Value } from '../versions/types.ts'
import type { Hooks } from './subject.ts'

type Construct = (context: any) => HostedObject
type Method = (...args: Value[]) => unknown

/** Delegate calls of running methods: one that is held and that its code does not await belongs to its method all the same. */
type Calls = WeakMap<Frame, Promise<unknown>[]>

export function hooked(construct: Construct, { methods }: Interface, { point }: Hooks): Construct {
  if (point === undefined) return construct
  const ends = (name: string) => name === 'intercept' || methods[name]?.kind === 'mutator'
  return (context: SimulationContext) => {
    const calls: Calls = new WeakMap()
    const instance = construct(aroundDelegate(context, point, calls))
    return new Proxy(instance, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown
        if (typeof member !== 'function') return member
        // The code's own `this` stays the object itself: it may have private parts.
        if (typeof name === 'symbol') return member.bind(target)
        return async (...args: Value[]) => {
          const frame = currentFrame()
          const result = await (member as Method).apply(target, args)
          if (frame !== undefined) await Promise.allSettled(calls.get(frame) ?? [])
          if (ends(name)) await point()
          return result
        }
      }
    })
  }
}

function aroundDelegate(context: SimulationContext, point: NonNullable<Hooks['point']>, calls: Calls) {
  const { delegate } = context
  if (delegate === undefined) return context
  const around = new Proxy(delegate, {
    get: (target, name) => {
      if (typeof name === 'symbol' || target[name] === undefined) return undefined
      return (...args: Value[]) => {
        const call = (async () => {
          const held = point()
          // Who is not held calls at once, as without the check.
          if (held !== undefined) await held
          const result = await target[name](...args)
          await point()
          return result
        })()
        const frame = currentFrame()
        if (frame !== undefined) calls.set(frame, [...(calls.get(frame) ?? []), call])
        return call
      }
    }
  })
  return Object.create(context, { delegate: { value: around } })
}
