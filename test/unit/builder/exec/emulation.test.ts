import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createPlatformCheck } from '../../../../src/builder/exec/emulation.ts'
import type { Platform } from '../../../../src/oci/platform.ts'

const AMD64: Platform = { os: 'linux', architecture: 'amd64' }
const folder = mkdtempSync(join(tmpdir(), 'slipway-binfmt-'))
after(() => rmSync(folder, { recursive: true }))

/** As qemu's packages register it: the byte of the ABI and the low bit of the type are not looked at. */
const AARCH64 = `interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
`

function checkWith(handlers: Readonly<Record<string, string>>): (platform: string) => Promise<void> {
  const directory = mkdtempSync(join(folder, 'misc-'))
  for (const [name, text] of Object.entries({ register: '', status: 'enabled\n', ...handlers }))
    writeFileSync(join(directory, name), text)
  return createPlatformCheck({ hostPlatform: AMD64, directory })
}

describe('createPlatformCheck()', () => {
  it('lets programs run that the processor knows', async () => {
    const check = checkWith({})
    for (const platform of ['linux/amd64', 'linux/amd64/v2', 'linux/386']) await check(platform)
  })

  it('refuses an architecture that no handler takes, and says what to install', async () => {
    const directory = join(folder, 'not-mounted')
    await assert.rejects(createPlatformCheck({ hostPlatform: AMD64, directory })('linux/arm64'), {
      code: 'platform-unsupported',
      message:
        'Cannot run a step for linux/arm64: this machine is linux/amd64, and has no emulator for programs of arm64',
      hint: /qemu-user-static/,
    })
  })

  it('asks each handler by its magic, not by its name', async () => {
    const check = checkWith({ anything: `enabled\n${AARCH64}` })
    await check('linux/arm64')
    for (const platform of ['linux/arm/v7', 'linux/s390x', 'linux/riscv64'])
      await assert.rejects(check(platform), { code: 'platform-unsupported' }, platform)
  })

  it('does not count a handler that is switched off', async () => {
    await assert.rejects(checkWith({ 'qemu-aarch64': `disabled\n${AARCH64}` })('linux/arm64'), {
      code: 'platform-unsupported',
    })
  })

  it('does not count handlers by file extension or with a magic beyond the head', async () => {
    const check = checkWith({
      jar: 'enabled\ninterpreter /usr/bin/jexec\nflags: \nextension .jar\n',
      far: 'enabled\ninterpreter /x\nflags: \noffset 60\nmagic 0000000000000000\n',
    })
    await assert.rejects(check('linux/arm64'), { code: 'platform-unsupported' })
  })

  it('refuses programs of another system', async () => {
    await assert.rejects(checkWith({})('windows/amd64'), { code: 'platform-unsupported' })
  })
})
