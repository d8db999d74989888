console.log("served with the events");
