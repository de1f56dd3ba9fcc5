// Package tenants measures what one tenant costs the others: for each case it measures a victim
// alone, starts what a hostile namespace does, and measures the victim again, in the same
// cluster. It needs Linux and no root.
//
//	make tenants
//	make tenants TENANTS="-cases D1,D3 -pushes 10"
//	make tenants TENANTS="-tree /path/of/another/checkout"   # with that one's programs and manifests
//
// # What runs
//
// Each case has a cluster of its own: the fast tier (package fast: etcd and the API server in
// this process) with OpenShift's image API, and as processes Revet's receiver and controller
// under their own accounts, the adapter of Knative's ApiServerSource and Tekton's EventListener
// sink. There is no Tekton controller: a PipelineRun stays as it is created, and holds its slot.
// Events and connections of the hostile namespace come from another loopback address than the
// victim's, as another Pod's would.
//
// # What is measured
//
// A push is the write of an ImageStream's status that shows a new digest. It is recorded when a
// watch shows its entry of the ledger, and has its run when one shows its PipelineRun. A push
// that has neither in time is missed, and after three of these a case goes on.
//
// The bounds: under each attack every push is recorded within a second, and half of them have
// their run within twice the median that they have alone. A sweep (D4) may take twice as long,
// and a receiver with a large ledger (D5) is ready within three seconds. The exit status is 1 if
// a bound is missed. Times depend on what else the machine does; both halves of a row come from
// one run, and ratios tell more than milliseconds.
//
// # What holds without a clock
//
// Times say how much, and tests what for. Each of these fails without the guard that it names, and
// those of one case differ in mechanism:
//
//   - D1: TestAThousandTriggersOfOneNamespaceHoldUpNobody; TestTriggersOfOthersHoldUpNobody (six
//     ways), TestTriggersThatAreTooManyAreListedOnce, TestTheOwnNamespacesAccountsAreAskedSideBySide,
//     TestChecksThatHangHoldUpTheirOwnNamespaceAlone, TestAFloodClearsNoOthersAnswers,
//     TestOneOwnerCannotSpendThePatienceOfARegistry.
//   - D2: TestSelectorsAreBounded; TestOtherPeoplesTriggersAreNotLookedAt,
//     TestTheOldestTriggersOfANamespaceCount, TestFiltersAreKeptByNamespace.
//   - D3: TestANamespaceDoesNotTakeTheSlotsOfAll, TestNoNamespaceTakesTheSlotsOfAll;
//     TestNamespacesShareAndThenTheirTriggers, TestARunThatTakesTooLongGivesItsSlotBack,
//     TestRenewalsThatNeverEndLeaveRoomForOthers, TestRepetitionsOfANamespaceThatFailsBecomeRarer,
//     TestWhatHangsHoldsUpItsOwnNamespaceAlone.
//   - D4: TestARegistryHoldsUpItsOwnNamespaceAlone (five ways);
//     TestSlowNamespacesLeaveWorkersToQuickOnes, TestTheNamesOfANamespaceAreBounded,
//     TestANamespacesShareOfAPassIsBounded, TestARegistryRestsForWhomItAsked.
//   - D5: TestIndexIsLinearInTheDigestsOfARepository.
//   - D9: TestNoSourceKeepsOthersOut, TestConnectionsThatAreKeptKeepNobodyOut;
//     TestOverloadIsAskedToComeAgain, TestBatchIsBounded, TestShares.
package tenants
