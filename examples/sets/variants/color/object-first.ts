/** Always the object first: a crash in an insertion leaves an element without the colour that it was given. */
import FileTable from './file-table.ts'

export default class ObjectFirst extends FileTable {
  override async insertColor(x: number, color: string) {
    await this.context.delegate.insert(x)
    this.put(x, color)
  }
}
