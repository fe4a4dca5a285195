/** The same IntSet as that of the other example. */
export { default } from '../../v1/int-set.ts'
