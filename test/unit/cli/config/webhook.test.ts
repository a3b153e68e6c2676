import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../../../../src/cli/config/config.ts'
import { type WebhookConfig, webhookSettings } from '../../../../src/cli/config/webhook.ts'

async function load(text: string) {
  return webhookSettings((await parseConfig(text, 'slipway.toml')).webhook ?? [])
}

describe('[[webhook]]', () => {
  it('reads each table', async () => {
    const webhooks = await load(`
[[webhook]]
url = "https://ci.example/hook"

[[webhook]]
url = "http://127.0.0.1:8080/"
events = ["pull"]
repositories = ["team/**"]
headers = { Authorization = "Bearer x" }
secret = "key"
`)
    assert.deepEqual(webhooks, [
      { url: 'https://ci.example/hook', events: ['push', 'delete'], repositories: ['**'], headers: {} },
      {
        url: 'http://127.0.0.1:8080/',
        events: ['pull'],
        repositories: ['team/**'],
        headers: { Authorization: 'Bearer x' },
        secret: 'key',
      },
    ])
  })

  it('names the line of a key that is not known', async () => {
    await assert.rejects(
      load('[[webhook]]\nurl = "http://a/"\nevent = ["push"]\n'),
      /:3: webhook\.event .*nearest is events/,
    )
    const two = '[[webhook]]\nurl = "http://a/"\n[[webhook]]\nurl = "nope"\n'
    await assert.rejects(load(two), /slipway\.toml:3: webhook has a url that is none/)
    await assert.rejects(load('[webhook]\nurl = "http://a/"\n'), /must be a list: \[\[webhook\]\]/)
  })

  const refused: [string, readonly WebhookConfig[], RegExp][] = [
    ['no url', [{}], /no url/],
    ['what is no url', [{ url: 'ci.example' }], /has a url that is none/],
    ['another scheme', [{ url: 'file:///etc/passwd' }], /not http or https/],
    ['a password', [{ url: 'https://a:geheim@ci.example/' }], /has a password/],
    ['another event', [{ url: 'http://a/', events: ['mount'] }], /push, delete, pull/],
    ['a pattern that is none', [{ url: 'http://a/', repositories: ['A'] }], /the pattern "A"/],
    ['a header that begins another', [{ url: 'http://a/', headers: { a: 'b\r\nc: d' } }], /the header "a"/],
    [
      'a header of the message itself',
      [{ url: 'http://a/', headers: { 'content-Length': '5' } }],
      /set for each/,
    ],
    ['another host', [{ url: 'http://a/', headers: { Host: 'b' } }], /the header "Host"/],
    ['the same url twice', [{ url: 'http://a/' }, { url: 'http://a' }], /the same url at a as one before/],
  ]
  for (const [name, configs, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => webhookSettings(configs),
        error => error instanceof Error && message.test(error.message) && !error.message.includes('geheim'),
      )
    })
  }
})
