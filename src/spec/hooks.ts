/**
 * Puts the check between a link's code and its chain (SPEC Q8): points at which another call may come between, or the
 * process end. They lie around delegate calls, and where a mutator or an interception ends and is not committed yet.
 */
import type { Interface } from '../upgrade/manifest.ts'
import type { HostedObject, SimulationContext, Value } from '../versions/types.ts'
import type { Hooks } from './subject.ts'

type Construct = (context: any) => HostedObject
type Method = (...args: Value[]) => unknown

export function hooked(construct: Construct, { methods }: Interface, { point }: Hooks): Construct {
  if (point === undefined) return construct
  const ends = (name: string) => name === 'intercept' || methods[name]?.kind === 'mutator'
  return (context: SimulationContext) => {
    const instance = construct(aroundDelegate(context, point))
    return new Proxy(instance, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown
        if (typeof member !== 'function') return member
        // The code's own `this` stays the object itself: it may have private parts.
        if (typeof name === 'symbol' || !ends(name)) return member.bind(target)
        return async (...args: Value[]) => {
          const result = await (member as Method).apply(target, args)
          await point()
          return result
        }
      }
    })
  }
}

function aroundDelegate(context: SimulationContext, point: NonNullable<Hooks['point']>): SimulationContext {
  const { delegate } = context
  if (delegate === undefined) return context
  const around = new Proxy(delegate, {
    get: (target, name) => {
      if (typeof name === 'symbol' || target[name] === undefined) return undefined
      return async (...args: Value[]) => {
        await point()
        const result = await target[name](...args)
        await point()
        return result
      }
    }
  })
  return Object.create(context, { delegate: { value: around } })
}
