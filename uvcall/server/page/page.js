// The page of `uvcall talk --web`: one button joins the call with the microphone, one mutes, one hangs up.
import { UltravoxSession } from "./ultravox-client.js";

const WORDS = {
  connecting: "Connecting …",
  idle: "Connected.",
  listening: "The agent listens.",
  thinking: "The agent thinks.",
  speaking: "The agent speaks.",
  disconnecting: "Hanging up …",
  disconnected: "The call is over. You can close this page.",
};
const JOIN_MS = 20000;

const at = (id) => document.getElementById(id);
let session;
let joined = false;
let failed = false;

function show(state, words) {
  document.body.dataset.state = state;
  at("state").textContent = words;
}

function buttons({ join = false, talk = false }) {
  at("join").hidden = !join;
  at("mute").hidden = at("leave").hidden = !talk;
}

function fail(words, again = false) {
  failed = !again;
  show(again ? "ready" : "failed", words);
  buttons({ join: again });
}

// Asked for before the call is: a microphone that is refused costs nothing, and the browser knows its way to us.
async function microphone() {
  if (!navigator.mediaDevices) throw new Error("this page is not on a secure origin");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  stream.getTracks().forEach((track) => track.stop());
}

async function join() {
  buttons({});
  show("asking", "Waiting for the microphone …");
  try {
    await microphone();
  } catch (error) {
    fail(`There is no microphone to be had (${error.message}). Allow it for this page, and join again.`, true);
    return;
  }
  let answer;
  try {
    answer = await fetch("join", { method: "POST", cache: "no-store", credentials: "omit", redirect: "error" });
  } catch {
    fail("uvcall does not answer any more: the call is over.");
    return;
  }
  if (!answer.ok) {
    fail(await answer.text());
    return;
  }
  const { joinUrl } = await answer.json();
  session = new UltravoxSession();
  session.addEventListener("status", status);
  session.addEventListener("transcripts", transcripts);
  session.joinCall(joinUrl, "uvcall");
  buttons({ talk: true });
  setTimeout(() => joined || failed || broken("it took too long"), JOIN_MS);
}

function status() {
  const now = session.status;
  joined ||= ["idle", "listening", "thinking", "speaking"].includes(now);
  if (failed) return;
  if (now === "disconnected" && !joined) {
    fail("The call could not be joined.");
    return;
  }
  show(now === "disconnected" ? "over" : now, WORDS[now] ?? now);
  buttons({ talk: !now.startsWith("disconnect") });
}

function transcripts() {
  const list = at("transcript");
  session.transcripts.forEach((said, index) => {
    const line = list.children[index] ?? list.appendChild(document.createElement("li"));
    line.dataset.who = said.speaker === "agent" ? "Agent" : "You";
    line.dataset.final = String(said.isFinal);
    line.textContent = said.text;
  });
  list.lastElementChild?.scrollIntoView({ block: "nearest" });
}

function broken(why) {
  fail(`The call could not be joined: ${why}.`);
  session.leaveCall();
}

function mute() {
  session.toggleMicMute();
  at("mute").setAttribute("aria-pressed", String(session.isMicMuted));
  at("mute").textContent = session.isMicMuted ? "Unmute" : "Mute";
}

// What goes wrong while the SDK joins is nobody's to catch but this one's.
addEventListener("unhandledrejection", (event) => {
  if (session && !joined && !failed) broken(String(event.reason?.message ?? event.reason));
});
addEventListener("pagehide", () => session?.leaveCall());
at("join").addEventListener("click", join);
at("mute").addEventListener("click", mute);
at("leave").addEventListener("click", () => session.leaveCall());
at("join").disabled = false;
document.body.dataset.state = "ready";
