namespace Spectral.Tests.Support;

/// <summary>The launcher of MPI on this machine.</summary>
internal static class MpiLauncher
{
    /// <summary>
    /// Returns the beginning of a command line that starts a program as several ranks, on any number of cores and also
    /// for root. Without MPI, the test that asks is ignored.
    /// </summary>
    /// <param name="ranks">The number of ranks.</param>
    public static string[] Start(int ranks) =>
        [
            Find(),
            "--allow-run-as-root",
            "--oversubscribe",
            "--bind-to",
            "none",
            "--mca",
            "orte_tmpdir_base",
            OwnFolder(),
            // One rank is an ordinary process, which would take the launcher for a terminal.
            .. ranks == 1 ? ["-x", "TERM=dumb"] : Array.Empty<string>(),
            "-n",
            $"{ranks}",
        ];

    /// <summary>Makes a folder for one launch: in a common one, launches remove what others are about to use.</summary>
    private static string OwnFolder()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("spectral-mpi-");
        AppDomain.CurrentDomain.ProcessExit += (_, _) => folder.Delete(recursive: true);
        return folder.FullName;
    }

    private static string Find()
    {
        string? found = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "mpirun"))
            .FirstOrDefault(File.Exists);
        if (found is null)
            Assert.Ignore("no mpirun here (Debian: openmpi-bin)");
        if (!File.Exists(Path.Combine(AppContext.BaseDirectory, "libspectral_nccl_mpi.so")))
            Assert.Ignore("built without MPI (Debian: libopenmpi-dev)");
        return found!;
    }
}
