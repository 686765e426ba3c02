//! `fieldsync user`: the accounts of the reference server.

use crate::command_error::CommandError;
use clap::{Args, Subcommand};
use fieldsync_conformance::report::verdict::ExitStatus;
use fieldsync_core::store::DataSetName;
use fieldsync_schemas::id::RecordId;
use fieldsync_schemas::session::Role;
use fieldsync_server::{PasswordCost, SqliteStore, add_user};
use std::path::PathBuf;

/// The arguments of `user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: UserAction,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub enum UserAction {
    /// Add an account, or give it a new password and further grants.
    Add(AddUserArgs),
    /// Give an account a scope in a data set, also while it is served: the records at these places and below, or all.
    Scope(ScopeArgs),
}

/// A scope to give.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// The name of the account, which has a grant in the data set.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder of the server's data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The data set.
    #[arg(long, value_name = "DATA SET")]
    pub data_set: String,
    /// A place, by its id; once for each.
    #[arg(long, value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub place: Vec<RecordId>,
    /// Everything, as where no scope was ever given.
    #[arg(long)]
    pub all: bool,
}

/// An account to add. Its password is never an argument, because everybody on the machine can read those.
#[derive(Debug, Args)]
pub struct AddUserArgs {
    /// The name of the account.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The folder of the server's data.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// What the account may do in a data set: `name=read-only`, `name=read-write` or `name=admin`.
    #[arg(long, value_name = "DATA SET=ROLE", value_parser = grant)]
    pub grant: Vec<(String, Role)>,
    /// The environment variable that holds the password; one line of the standard input where absent.
    #[arg(long, value_name = "VARIABLE")]
    pub password_env: Option<String>,
}

fn grant(text: &str) -> Result<(String, Role), String> {
    let (data_set, role) = text.split_once('=').ok_or("a grant is `data set=role`")?;
    let role = Role::from(role);
    if !Role::KNOWN.contains(&role) {
        let known: Vec<&str> = Role::KNOWN.iter().map(Role::as_str).collect();
        return Err(format!("{role} is no role: {}", known.join(", ")));
    }
    Ok((data_set.to_owned(), role))
}

/// Does it.
pub fn run(args: UserArgs) -> Result<ExitStatus, CommandError> {
    match args.action {
        UserAction::Add(args) => add(args),
        UserAction::Scope(args) => give_scope(args),
    }
}

fn give_scope(args: ScopeArgs) -> Result<ExitStatus, CommandError> {
    let ScopeArgs { name, data, data_set, place, all } = args;
    let seen = if all { "everything".to_owned() } else { listed(&place) };
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    let places = (!all).then_some(place);
    runtime.block_on(fieldsync_server::give_scope(&data, &data_set, &name, places)).map_err(CommandError::usage)?;
    println!("{name} sees {seen} in {data_set}");
    Ok(ExitStatus::Conformant)
}

fn listed(places: &[RecordId]) -> String {
    let names: Vec<&str> = places.iter().map(RecordId::as_str).collect();
    format!("what is at {} and below", names.join(", "))
}

fn add(args: AddUserArgs) -> Result<ExitStatus, CommandError> {
    let password = match &args.password_env {
        Some(name) => std::env::var(name).map_err(|_| {
            CommandError::usage(format!("the environment has no variable {name}; set it to the password"))
        })?,
        None => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map_err(CommandError::usage)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    std::fs::create_dir_all(&args.data)
        .map_err(|error| CommandError::usage(format!("cannot make {}: {error}", args.data.display())))?;
    let grants: Vec<(DataSetName, Role)> =
        args.grant.into_iter().map(|(data_set, role)| (DataSetName(data_set), role)).collect();
    let runtime = tokio::runtime::Runtime::new().map_err(CommandError::suite)?;
    runtime.block_on(async {
        let store = SqliteStore::open(&args.data).map_err(CommandError::usage)?;
        add_user(&store, &args.name, &password, PasswordCost::default(), &grants).await.map_err(CommandError::usage)
    })?;
    println!("added {}", args.name);
    Ok(ExitStatus::Conformant)
}
