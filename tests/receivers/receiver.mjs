// A receiver in JavaScript: prints a line of JSON for each request, with what its library says of the signature.
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.argv[2]);
const server = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("utf8");
    let line;
    try {
      line = { id: request.headers["webhook-id"], payload: webhook.verify(body, request.headers) };
      response.writeHead(204).end();
    } catch (error) {
      line = { refused: error.message };
      response.writeHead(400).end(error.message);
    }
    console.log(JSON.stringify(line));
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
