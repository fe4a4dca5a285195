/** What authors of objects, simulation objects, transform functions and upgrades import from 'upstart-peer'. */
export { CallError, type CallErrorName, Refusal, type RefusalName } from './errors.ts'
export {
  after,
  all,
  any,
  at,
  byClass,
  byLabel,
  canary,
  custom,
  type Duration,
  deadline,
  domains,
  gradual,
  guard,
  immediately,
  lock,
  manual,
  never,
  not,
  notWhile,
  quiet,
  random,
  rolling,
  sequence,
  signalled,
  waves,
  where,
  window
} from './schedule/combinators.ts'
export type { ScheduleAnswer, ScheduleContext, ScheduledPeer } from './schedule/context.ts'
export type { Condition, Constraint, Schedule } from './schedule/schedule.ts'
export {
  defineUpgrade,
  type FirstUpgrade,
  type LaterUpgrade,
  type NewClass,
  type ReplacingClass,
  type UpgradeDefinition
} from './upgrade/define.ts'
export type { Interface, Manifest, MethodDeclaration } from './upgrade/manifest.ts'
export type * from './versions/types.ts'
