// A primary in JavaScript: reads shared/settings.json when it starts and on SIGHUP, answers with it, ends on SIGTERM.
const fs = require("node:fs");
const http = require("node:http");

let settings;

function read() {
  try {
    settings = JSON.parse(fs.readFileSync("shared/settings.json", "utf8"));
    console.log(`app: ${settings.greeting}, basket ${settings.features.basket}`);
  } catch (error) {
    console.error(`app: goes on with what it has: ${error.message}`);
  }
}

read();
process.on("SIGHUP", read); // before the pid file: without a handler SIGHUP ends a process
const server = http.createServer((_, response) => response.end(JSON.stringify(settings)));
server.listen(Number(process.env.APP_PORT), "127.0.0.1", () => fs.writeFileSync("app.pid", `${process.pid}\n`));
process.on("SIGTERM", () => process.exit(0));
