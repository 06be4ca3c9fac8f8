//! An address that stays while brokers come and go behind it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to the broker that is there now.
pub struct Door {
    pub address: String,
    behind: Arc<Mutex<String>>,
}

impl Door {
    /// A door to the broker at this address.
    pub fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let behind = Arc::new(Mutex::new(broker.to_owned()));
        let current = behind.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let broker = current.lock().expect("nobody panics with it").clone();
                // While there is no broker, the client sees its connection end at once.
                if let Ok(broker) = TcpStream::connect(broker) {
                    pass(&client, &broker);
                    pass(&broker, &client);
                }
            }
        });
        Self { address, behind }
    }

    /// Leads to another broker from now on.
    pub fn lead_to(&self, broker: &str) {
        *self.behind.lock().expect("nobody panics with it") = broker.to_owned();
    }
}

/// Passes bytes on until either side has enough.
fn pass(from: &TcpStream, to: &TcpStream) {
    let mut from = from.try_clone().expect("a descriptor is free");
    let mut to = to.try_clone().expect("a descriptor is free");
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
