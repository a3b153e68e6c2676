import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { ACCEPTED_OPTIONS } from '../../../../src/cli/build/refused-options.ts'
import { command } from '../../../../src/cli/commands/build.ts'

/** Of `docker buildx build`, and of `docker build` before it. */
const DOCKER =
  `add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent check
  compress cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems debug file force-rm iidfile isolation label load
  memory memory-swap metadata-file network no-cache no-cache-filter output platform policy progress provenance pull push
  quiet resource rm sbom secret security-opt shm-size squash ssh tag target ulimit`.split(/\s+/)

const text = readFileSync(new URL('../../../../docs/flags.md', import.meta.url), 'utf8')
const rows = [...text.matchAll(/^\| `--([a-z-]+)` \| (\w+) \| (.*?) ?\|$/gm)].map(
  ([, name = '', state = '', note = '']) => ({ name, state, note }),
)
const { options, refused = {} } = command

describe('docs/flags.md', () => {
  it('has every flag of docker build, once and in order', () => {
    assert.deepEqual(
      rows.map(({ name }) => name),
      DOCKER.toSorted(),
    )
  })

  it('tells of each what the command does', () => {
    const wanted = DOCKER.toSorted().map(name => {
      if (Object.hasOwn(refused, name)) return `${name} refused`
      if (Object.hasOwn(ACCEPTED_OPTIONS, name)) return `${name} accepted`
      return Object.hasOwn(options, name) ? `${name} works` : `${name} unknown`
    })
    assert.deepEqual(
      rows.map(({ name, state }) => `${name} ${state}`),
      wanted,
    )
  })

  it('tells why a flag is refused in the words of the command', () => {
    for (const { name, state, note } of rows)
      if (state === 'refused') assert.equal(note.replaceAll('`', ''), refused[name])
  })

  it('names the flags that are ours alone', () => {
    const own = Object.keys(options).filter(name => !DOCKER.includes(name))
    const [, line = ''] = /^Our own: (.*)\.$/m.exec(text) ?? []
    assert.deepEqual(
      line.split(', ').map(flag => flag.replace(/^`--|`$/g, '')),
      own.toSorted(),
    )
  })
})
