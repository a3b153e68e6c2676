import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSecrets, requireSecretFiles } from '../../../../src/cli/build/secrets.ts'

const terminal = { env: { TOKEN: 't', here: 'h' }, workingDirectory: '/here' }

const GIVEN: readonly (readonly [text: string, expected: object])[] = [
  ['id=a,src=f', { a: { kind: 'file', path: '/here/f' } }],
  ['id=a,source=/f', { a: { kind: 'file', path: '/f' } }],
  ['type=file,id=here', { here: { kind: 'file', path: '/here/here' } }],
  ['id=a,env=TOKEN', { a: { kind: 'value', value: 't' } }],
  ['id=a,type=env,src=TOKEN', { a: { kind: 'value', value: 't' } }],
  ['id=here', { here: { kind: 'value', value: 'h' } }],
  ['id=file', { file: { kind: 'file', path: '/here/file' } }],
  ['id=a,env=NOT_SET', {}],
  ['id=a,"src=a,b"', { a: { kind: 'file', path: '/here/a,b' } }],
]
for (const [text, expected] of GIVEN)
  test(`parseSecrets(${JSON.stringify(text)})`, () =>
    assert.deepEqual(Object.fromEntries(parseSecrets([text], terminal)), expected))

for (const text of ['src=f', 'id=', 'id=a,type=x', 'id=a,key=x', 'constructor=x', 'id=a"', ''])
  test(`parseSecrets(${JSON.stringify(text)}) is refused`, () =>
    assert.throws(() => parseSecrets([text], terminal), { code: 'usage' }))

test('requireSecretFiles() refuses a file that is not there, before a build begins', () => {
  requireSecretFiles(parseSecrets(['id=a,src=/etc/passwd', 'id=b,env=TOKEN'], terminal))
  assert.throws(() => requireSecretFiles(parseSecrets(['id=a,src=f'], terminal)), {
    code: 'usage',
    message: 'build: --secret "a": there is no file /here/f',
  })
})

test('parseSecrets() tells the key that was meant', () =>
  assert.throws(() => parseSecrets(['idd=a'], terminal), /did you mean id\?/))
