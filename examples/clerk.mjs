// A client of clerk.py, for whoever is signed in; `clerk` is Clerk's own object, loaded.

import { io } from "socket.io-client";

export function connect(url, clerk) {
  const token = async (options) => (await clerk.session?.getToken(options)) ?? "";

  // Asked for at every connection, so that one that comes back shows a token that is good. If there is none to
  // be had, the server ends the connection after a while, and the client tries again.
  const auth = (give) => token().then((token) => give({ token }), console.warn);
  const socket = io(url, { auth, autoConnect: false });

  // Half a minute before a token's end: the session goes on with the next one.
  socket.on("session_expiring", async () => {
    socket.emit("authenticate", { token: await token({ skipCache: true }) });
  });

  // Called at once, and whenever something changes.
  let known;
  clerk.addListener(({ user }) => {
    if (user?.id !== known) socket.disconnect();
    known = user?.id;
    if (known && !socket.active) socket.connect();
  });
  return socket;
}
