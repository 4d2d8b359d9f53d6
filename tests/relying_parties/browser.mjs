// A person with a browser: chromium, and Chancery's pages by their stable ids.

import { chromium } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function launch() {
  const executablePath = process.env.CHROMIUM_BIN;
  if (!executablePath) throw new Error('CHROMIUM_BIN is not set; run tests/run');
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

// One browser profile, and what a person does in it.
export class Person {
  // What the pages did against their own policy.
  violations = [];

  static async sitDown(browser, options = {}) {
    const person = new Person();
    person.context = await browser.newContext(options);
    person.context.setDefaultTimeout(10_000);
    person.page = await person.context.newPage();
    person.page.on('console', (message) => {
      if (/content security policy/i.test(message.text())) person.violations.push(message.text());
    });
    person.page.on('pageerror', (error) => person.violations.push(String(error)));
    return person;
  }

  // Opens the relying party's page and presses what leads to the issuer.
  async follows(page) {
    await this.page.goto(page);
    await this.page.locator('#go').click();
  }

  async sees(selector) {
    await this.page.locator(selector).waitFor();
  }

  async logsIn(username, password) {
    await this.page.locator('#username').fill(username);
    await this.page.locator('#password').fill(password);
    await this.page.locator('#login-submit').click();
  }

  async allows() {
    await this.page.locator('#consent-allow').click();
  }

  async denies() {
    await this.page.locator('#consent-deny').click();
  }

  // Waits until the browser is back at the relying party; the answer's URL.
  async returnsTo(redirectUri) {
    try {
      await this.page.waitForURL((url) => /[?#]/.test(url.href.slice(redirectUri.length)[0]) && url.href.startsWith(redirectUri));
    } catch (cause) {
      const text = await this.page.locator('body').innerText();
      throw new Error(`the browser stays at ${this.page.url()}:\n${text}`, { cause });
    }
    return new URL(this.page.url());
  }

  // Ends with the browser's profile.
  leaves() {
    return this.context.close();
  }
}
