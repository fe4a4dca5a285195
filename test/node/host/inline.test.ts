import { InlineHost } from '../../../node/host/inline.ts'
import { hostContract } from './contract.ts'

hostContract('inline', (options) => new InlineHost(options))
