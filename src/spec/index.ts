/** What authors of specifications import from 'upstart-peer/spec'. */
export { alike, domain, oneOf } from './domain.ts'
export { fresh } from './opaque.ts'
export {
  type Domain,
  defineSpec,
  defineType,
  type Kinds,
  type MutatorModel,
  type ObserverModel,
  type Specification,
  type SpecificationInit,
  type TypeModel,
  undetermined
} from './specification.ts'
