import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { commandSigner } from '../../node/cli/sign-with.ts'
import { generateKeyFiles, readPublicKey, readSeed, readSigner } from '../../node/keys.ts'
import { publicKeyFromRaw, publicKeyOf, verifyEd25519 } from '../../src/upgrade/keys.ts'

const UPSTART = fileURLToPath(new URL('../../node/bin/upstart.js', import.meta.url))
const PASSPHRASE = 'correct horse battery staple'
const VARIABLES = ['UPSTART_PASSPHRASE', 'UPSTART_PASSPHRASE_FILE']

describe('keys at rest and elsewhere', () => {
  let directory: string
  const at = (name: string): string => join(directory, name)
  const earlier = new Map(VARIABLES.map((name) => [name, process.env[name]]))
  const passphrase = async (text: string): Promise<void> => {
    await writeFile(at('passphrase'), `${text}\n`, { mode: 0o600 })
    process.env['UPSTART_PASSPHRASE_FILE'] = at('passphrase')
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'upstart-keys-'))
    await generateKeyFiles(at('sealed'), PASSPHRASE)
    await generateKeyFiles(at('plain'))
  })
  beforeEach(() => passphrase(PASSPHRASE))
  after(async () => {
    for (const [name, value] of earlier)
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    await rm(directory, { recursive: true })
  })

  it('C21: an encrypted key signs with its passphrase, and shows its public half without', async () => {
    const signer = await readSigner(at('sealed'))
    delete process.env['UPSTART_PASSPHRASE_FILE']
    assert.deepEqual(await readPublicKey(at('sealed')), signer.key)
    assert.deepEqual(await readPublicKey(at('sealed.pub')), signer.key)
    await passphrase(PASSPHRASE)
    assert.equal((await stat(at('sealed'))).mode & 0o777, 0o600)
    const text = await readFile(at('sealed'), 'utf8')
    assert(!text.includes(Buffer.from(await readSeed(at('sealed'))).toString('hex')))
  })

  it('C21: a file that was changed anywhere, and another passphrase, are refused', async () => {
    const value = JSON.parse(await readFile(at('sealed'), 'utf8'))
    const flipped = (hex: string): string => `${hex[0] === '0' ? '1' : '0'}${hex.slice(1)}`
    for (const field of ['public', 'sealed']) {
      await writeFile(at('changed'), JSON.stringify({ ...value, [field]: flipped(value[field]) }))
      await assert.rejects(readSigner(at('changed')), { name: 'WrongPassphrase' }, field)
    }
    // Neither all memory nor guesses that cost nothing.
    for (const cost of [2 ** 10, 2 ** 30, 100_000]) {
      await writeFile(at('changed'), JSON.stringify({ ...value, cost }))
      await assert.rejects(readSigner(at('changed')), { name: 'Malformed' }, String(cost))
    }
    await passphrase('something else')
    await assert.rejects(readSigner(at('sealed')), { name: 'WrongPassphrase' })
    await writeFile(at('changed'), '{')
    await assert.rejects(readPublicKey(at('changed')), { name: 'Malformed' })
  })

  it('C21: a key that OpenSSL encrypted is read, too', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: PASSPHRASE })
    await writeFile(at('openssl'), pem)
    assert.deepEqual((await readSigner(at('openssl'))).key, publicKeyOf(publicKey))
    await passphrase('something else')
    await assert.rejects(readSigner(at('openssl')), { name: 'WrongPassphrase' })
  })

  it('C21: where nobody can be asked the refusal says what to set; the environment serves, and is not handed on', async () => {
    delete process.env['UPSTART_PASSPHRASE_FILE']
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !VARIABLES.includes(name)))
    const upstart = (env: object, ...args: string[]) =>
      promisify(execFile)(process.execPath, [UPSTART, ...args], {
        env: { ...environment, ...env } as NodeJS.ProcessEnv
      })
    await writeFile(at('root.json'), '{}')
    await assert.rejects(upstart({}, 'sign', at('root.json'), '--key', at('sealed')), /set UPSTART_PASSPHRASE_FILE/)
    await assert.rejects(upstart({ UPSTART_PASSPHRASE: 'short' }, 'keygen', at('x'), '--encrypt'), /8 to 1024/)
    const secret = { UPSTART_PASSPHRASE: PASSPHRASE }
    await upstart(secret, 'keygen', at('second'), '--encrypt')
    // The command of `--sign-with` would see the passphrase of the other key.
    const made = upstart(
      secret,
      ...['root', 'new', '--root', `${at('second.pub')},${at('plain.pub')}`, '--open', '--out', at('made.json')],
      ...['--sign', at('second'), '--sign-with', `env > ${at('seen')}; exit 3`, '--as', at('plain.pub')]
    )
    await assert.rejects(made, /Unsigned: --sign-with: the command failed \(ended with 3\)/)
    const seen = await readFile(at('seen'), 'utf8')
    assert(seen.includes('PATH='))
    assert(!seen.includes(PASSPHRASE))
  })

  it('C22: a command signs, in whatever way it writes a signature, and is not believed', async () => {
    const key = await readPublicKey(at('plain.pub'))
    const signing = (file: string, form: string): string =>
      `${process.execPath} -e "const c=require('crypto'),f=require('fs');const s=c.sign(null,f.readFileSync(0),f.readFileSync('${at(file)}'));process.stdout.write(${form})"`
    const message = new TextEncoder().encode('what is signed')
    for (const form of ['s', "s.toString('hex')+'\\n'", "s.toString('base64')"]) {
      const signature = commandSigner(signing('plain', form), key).sign(message)
      assert(verifyEd25519(publicKeyFromRaw(Buffer.from(key.keyval.public, 'hex')), message, signature), form)
    }
    await generateKeyFiles(at('other'))
    assert.throws(() => commandSigner(signing('other', 's'), key).sign(message), { name: 'WrongSignature' })
    // It reads nothing; more than a pipe holds makes that sure to be noticed.
    for (const bytes of [message, new Uint8Array(1024 * 1024)])
      assert.throws(() => commandSigner('echo hello', key).sign(bytes), { name: 'WrongSignature' })
    assert.throws(() => commandSigner('no-such-command-here 2>&-', key).sign(message), { name: 'Unsigned' })
  })
})
