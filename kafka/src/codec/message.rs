//! Structures of fields, written down as the protocol's guide has them.
//!
//! ```text
//! message! {
//!     /// What it is.
//!     pub struct Name<'a> {
//!         group_id: Str<'a>,                          in every version
//!         instance: Option<Str<'a>> [3..],            in these versions; else the type's default
//!         leader_epoch: i32 [6..=9] = -1,             with another default
//!         name: Option<Str<'a>> [null 7..],           null in these versions, the empty value for it in others
//!         replica: State [tag 1],                     a tagged field, left out if it has its default
//!         endpoints: Vec<Endpoint<'a>> [tag 0, 16..],
//!     }
//! }
//! ```

/// Writes a structure, its default, and how it is read and written.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$doc:meta])* $field:ident: $type:ty $([$($gate:tt)*])? $(= $default:expr)?),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$doc])* pub $field: $type),*
        }

        impl $(<$life>)? Default for $name $(<$life>)? {
            fn default() -> Self {
                Self { $($field: $crate::codec::message::default!($($default)?)),* }
            }
        }

        impl<'a> $crate::codec::Wire<'a> for $name $(<$life>)? {
            #[allow(unused_mut, reason = "only tagged fields are set twice")]
            fn read(r: &mut $crate::codec::Reader<'a>) -> Result<Self, $crate::codec::DecodeError> {
                $(let mut $field: $type = $crate::codec::message::read!(
                    r, stringify!($field), $crate::codec::message::default!($($default)?), $($($gate)*)?
                );)*
                r.tags(|_tag, _r| {
                    $($crate::codec::message::read_tagged!(_tag, _r, $field, $($($gate)*)?);)*
                    Ok(())
                })?;
                Ok(Self { $($field),* })
            }

            fn write(&self, w: &mut $crate::codec::Writer<'_>) {
                $($crate::codec::message::write!(w, self.$field, $($($gate)*)?);)*
                let mut _tags = $crate::codec::Tags::new();
                $($crate::codec::message::write_tagged!(
                    w, _tags, self.$field, $crate::codec::message::default!($($default)?), $($($gate)*)?
                );)*
                _tags.finish(w);
            }
        }
    )*};
}

macro_rules! default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// What a field in its place is read as.
macro_rules! read {
    ($r:ident, $name:expr, $default:expr, tag $($rest:tt)*) => {
        $default
    };
    ($r:ident, $name:expr, $default:expr, null $versions:expr) => {
        $crate::codec::message::read!($r, $name, $default,)
    };
    ($r:ident, $name:expr, $default:expr,) => {{
        $r.at_field($name);
        $crate::codec::Wire::read($r)?
    }};
    ($r:ident, $name:expr, $default:expr, $versions:expr) => {
        if ($versions).contains(&$r.version()) {
            $crate::codec::message::read!($r, $name, $default,)
        } else {
            $default
        }
    };
}

/// Reads a tagged field if its tag has come.
macro_rules! read_tagged {
    ($found:ident, $r:ident, $field:ident, tag $tag:literal) => {
        if $found == $tag {
            $r.at_field(stringify!($field));
            $field = $crate::codec::Wire::read($r)?;
        }
    };
    ($found:ident, $r:ident, $field:ident, tag $tag:literal, $versions:expr) => {
        if ($versions).contains(&$r.version()) {
            $crate::codec::message::read_tagged!($found, $r, $field, tag $tag);
        }
    };
    ($found:ident, $r:ident, $field:ident, $($gate:tt)*) => {};
}

/// Writes a field in its place.
macro_rules! write {
    ($w:ident, $field:expr, tag $($rest:tt)*) => {};
    ($w:ident, $field:expr, null $versions:expr) => {
        if ($versions).contains(&$w.version()) {
            $crate::codec::Wire::write(&$field, $w);
        } else {
            $crate::codec::Wire::write_present(&$field, $w);
        }
    };
    ($w:ident, $field:expr,) => {
        $crate::codec::Wire::write(&$field, $w);
    };
    ($w:ident, $field:expr, $versions:expr) => {
        if ($versions).contains(&$w.version()) {
            $crate::codec::Wire::write(&$field, $w);
        }
    };
}

/// Whether a field has this value.
pub(crate) fn is<T: PartialEq>(field: &T, value: T) -> bool {
    *field == value
}

/// Gathers a tagged field unless it has its default.
macro_rules! write_tagged {
    ($w:ident, $tags:ident, $field:expr, $default:expr, tag $tag:literal) => {
        $crate::codec::message::write_tagged!($w, $tags, $field, $default, tag $tag, 0..)
    };
    ($w:ident, $tags:ident, $field:expr, $default:expr, tag $tag:literal, $versions:expr) => {
        if $w.is_flexible() && ($versions).contains(&$w.version()) && !$crate::codec::message::is(&$field, $default) {
            $tags.put($w, $tag, &$field);
        }
    };
    ($w:ident, $tags:ident, $field:expr, $default:expr, $($gate:tt)*) => {};
}

/// Says of which API the structures are that are bodies of their own, and gathers the requests in one enum.
macro_rules! messages {
    ($($api:ident: $request:ty => $response:ty),* $(,)?) => {
        /// A request, decoded.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Request<'a> {
            $(
                #[doc = concat!("Of [`Api::", stringify!($api), "`].")]
                $api($request),
            )*
        }

        impl<'a> Request<'a> {
            /// Reads the body of a request.
            ///
            /// # Errors
            /// See [`DecodeError`]; [`DecodeError::Version`] if the version is not implemented.
            pub fn decode(api: Api, version: i16, body: &'a [u8]) -> Result<Self, DecodeError> {
                match api {
                    $(Api::$api => Body::decode(version, body).map(Self::$api),)*
                }
            }

            /// Which it is.
            pub fn api(&self) -> Api {
                match self {
                    $(Self::$api(_) => Api::$api,)*
                }
            }

            /// Appends the body, as a client does.
            pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
                match self {
                    $(Self::$api(body) => body.encode(version, out),)*
                }
            }
        }

        /// An answer, decoded; tests and fuzzers use it, handlers write the answer of their API.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Response<'a> {
            $(
                #[doc = concat!("Of [`Api::", stringify!($api), "`].")]
                $api($response),
            )*
        }

        impl<'a> Response<'a> {
            /// Reads the body of an answer, as a client does.
            ///
            /// # Errors
            /// See [`DecodeError`].
            pub fn decode(api: Api, version: i16, body: &'a [u8]) -> Result<Self, DecodeError> {
                match api {
                    $(Api::$api => Body::decode(version, body).map(Self::$api),)*
                }
            }

            /// An answer of defaults: no errors, and nothing in its lists.
            pub fn empty(api: Api) -> Self {
                match api {
                    $(Api::$api => Self::$api(Default::default()),)*
                }
            }

            /// Appends the body.
            pub fn encode(&self, version: i16, out: &mut Vec<u8>) {
                match self {
                    $(Self::$api(body) => body.encode(version, out),)*
                }
            }
        }

        $(
            impl<'a> Body<'a> for $request {
                const API: Api = Api::$api;
            }

            impl<'a> Body<'a> for $response {
                const API: Api = Api::$api;
            }
        )*
    };
}

pub(crate) use {default, message, messages, read, read_tagged, write, write_tagged};
