//! `fieldsync refetch`: orders the devices of a user to pull once more from the beginning.

use crate::command_error::CommandError;
use clap::Args;
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_schemas::id::TypeName;
use std::path::PathBuf;

/// The arguments of `refetch`.
#[derive(Debug, Args)]
pub struct RefetchArgs {
    /// The name of the account whose devices pull, which has a grant in the data set.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder of the server's data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The data set.
    #[arg(long, value_name = "DATA SET")]
    pub data_set: String,
    /// A type to pull; once for each. Where there is none, everything is pulled.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<TypeName>,
}

/// Gives the order. A server that runs on the folder lists it in the user's next session.
pub fn run(args: RefetchArgs) -> Result<ExitStatus, CommandError> {
    let RefetchArgs { name, data, data_set, types } = args;
    let names: Vec<&str> = types.iter().map(TypeName::as_str).collect();
    let what = if names.is_empty() { "everything".to_owned() } else { names.join(", ") };
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    runtime.block_on(fieldsync_server::order_refetch(&data, &data_set, &name, types)).map_err(CommandError::usage)?;
    println!("the devices of {name} pull {what} of {data_set} once more");
    Ok(ExitStatus::Conformant)
}
