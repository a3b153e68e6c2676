import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Container, runContainer } from '../../../../src/builder/exec/container.ts'

const never = new AbortController().signal

/** A runtime that is a shell script; `$log` is the log that it is told to write. */
function container(t: TestContext, script: string): Container {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  const runtime = join(root, 'runtime')
  const directory = join(root, 'box')
  mkdirSync(directory)
  const header = 'echo "$@" >> "$(dirname "$0")/calls"; log=$4; case " $* " in *" delete "*) exit 0;; esac'
  writeFileSync(runtime, `#!/bin/sh\n${header}\n${script}\n`, { mode: 0o755 })
  return { runtime, directory, id: 'box', spec: { ociVersion: '1.0.2' } }
}

async function run(box: Container, signal = never) {
  const output: string[] = []
  const exitCode = await runContainer(box, {
    signal,
    output(stream, chunk) {
      output.push(`${stream}: ${Buffer.from(chunk).toString()}`)
    },
  })
  return { exitCode, output: output.sort() }
}

test('runContainer() passes output and exit code on', async t => {
  assert.deepEqual(await run(container(t, 'cat; echo out; echo err >&2; exit 42')), {
    exitCode: 42,
    output: ['stderr: err\n', 'stdout: out\n'],
  })
})

test('runContainer() reads no faster than its output is taken, and loses none of it', async t => {
  const size = 4 * 1024 * 1024
  let read = 0
  let atOnce = 0
  let most = 0
  const exitCode = await runContainer(container(t, `head -c ${size} /dev/zero`), {
    signal: never,
    async output(_stream, chunk) {
      read += chunk.length
      most = Math.max(most, ++atOnce)
      await setImmediate()
      atOnce--
    },
  })
  // The last ones come together: of a process that has ended there can be no more than its pipe holds.
  assert.ok(most < 8, `${most} chunks at once`)
  assert.deepEqual([exitCode, read], [0, size])
})

test('runContainer() ends when it is aborted, though nobody takes its output', async t => {
  const abort = new AbortController()
  const running = runContainer(container(t, 'exec cat /dev/zero'), {
    signal: abort.signal,
    output() {
      abort.abort(new Error('interrupted'))
      return new Promise(() => undefined)
    },
  })
  await assert.rejects(running, { message: 'interrupted' })
})

test('runContainer() writes the bundle and keeps all state in its directory', async t => {
  const box = container(t, 'exit 0')
  await run(box)
  assert.deepEqual(JSON.parse(readFileSync(join(box.directory, 'private/config.json'), 'utf8')), box.spec)
  assert.equal(readFileSync(join(box.directory, 'runtime'), 'utf8'), box.runtime)
  const { directory } = box
  assert.equal(
    readFileSync(join(directory, '../calls'), 'utf8').trim(),
    `--root ${directory}/private/state --log ${directory}/private/log --log-format json run --bundle ${directory}/private box`,
  )
})

test("runContainer() tells the runtime's own failure from that of the process", async t => {
  const script = `echo 'no JSON' > "$log"
    echo '{"level":"warning","msg":"something odd"}' >> "$log"
    echo '{"level":"error","msg":"exec: \\"/nope\\": no such file"}' >> "$log"
    echo null >> "$log"
    exit 1`
  await assert.rejects(run(container(t, script)), {
    code: 'run-failed',
    message: 'Cannot start container: exec: "/nope": no such file',
  })
})

test('runContainer() of a runtime that is killed deletes what it left', async t => {
  const box = container(t, 'kill -9 $$')
  await assert.rejects(run(box), { message: 'Cannot start container: the runtime was killed' })
  assert.match(readFileSync(join(box.directory, '../calls'), 'utf8'), /delete --force box\n$/)
})

test('runContainer() of a file that is no program is an error, not a crash', async t => {
  const box = container(t, '')
  writeFileSync(box.runtime, '#!/nonexistent/interpreter\n')
  await assert.rejects(run(box), { code: 'run-failed', message: /^Cannot start container: / })
})

test('runContainer() kills the runtime when it is aborted, and deletes the container', async t => {
  const box = container(t, 'echo started; exec sleep 1000')
  const abort = new AbortController()
  const running = runContainer(box, { signal: abort.signal, output: () => abort.abort() })
  await assert.rejects(running, { name: 'AbortError' })
  assert.match(readFileSync(join(box.directory, '../calls'), 'utf8'), /delete --force box\n$/)
})
