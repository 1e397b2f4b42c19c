// One participant on MQTT.js and @msgpack/msgpack, led by lines of JSON on standard input; answers are such lines too.
// It knows no message of the venue: arrays in, arrays out. See `MqttJs` in peers.py, which starts it.

const readline = require("node:readline");
const mqtt = require("mqtt");
const { decode, encode } = require("@msgpack/msgpack");

let client;

// Integers above 2^53 arrive as BigInt, which JSON.stringify does not write.
const say = (what) => {
  const quoted = JSON.stringify(what, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
  process.stdout.write(quoted.replace(/"(-?\d+)n"/g, "$1") + "\n");
};

const orders = {
  enter({ url, options, will, ca, patterns }) {
    client = mqtt.connect(url, {
      ...options,
      protocolVersion: 5,
      reconnectPeriod: 0,
      ca,
      will: will && { topic: will.topic, payload: Buffer.from(encode(will.messages)), qos: 1 },
    });
    client.on("error", (error) => say({ refused: error.code, text: error.message }));
    client.on("message", (topic, payload, packet) =>
      say({ topic, message: decode(payload, { useBigInt64: true }), retained: packet.retain }));
    client.on("connect", () =>
      client.subscribe(patterns, { qos: 1 }, (_error, granted, packet) =>
        say({ subscribed: packet ? packet.granted : granted.map((one) => one.qos) })));
  },

  send({ number, topic, messages, qos }) {
    client.publish(topic, Buffer.from(encode(messages)), { qos }, (error, packet) =>
      say({ number, code: error ? error.code : qos ? packet.reasonCode ?? 0 : null }));
  },

  leave() {
    client.end(false, {}, () => process.exit(0));
  },

  "break off"() {
    client.stream.destroy();
  },
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
