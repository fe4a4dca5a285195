/** Says blue of elements that are not there. */
import BlueOnly from './blue-only.ts'

export default class AlwaysBlue extends BlueOnly {
  override async getColor(_x: number) {
    return 'blue'
  }
}
